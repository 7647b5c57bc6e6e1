//! Where a long video is cut, so that many can make it.

use ffmpeg::Grid;

use crate::job::{Cut, Edge, Piece};

/// How far in front of a keyframe a piece begins, in microseconds: behind the picture before it,
/// for no film has more than 1000 a second.
const BEFORE_KEYFRAME_US: i64 = 500;

/// What is left of a video is shared into so many pieces for each who may make one, again at each
/// cut: long pieces first, which cost least, and short ones last, for which nobody waits long. It
/// is guided self-scheduling (C. D. Polychronopoulos and D. J. Kuck, 1987), whose one share for
/// each is for those who are all as quick.
const SHARES_FOR_EACH: f64 = 4.0;

/// How many times as long as wanted a piece is at most.
const LONGEST: f64 = 4.0;

/// Which part of what is wanted a piece is at least.
const SHORTEST: f64 = 0.5;

/// The most pieces of a video.
const MAX_PIECES: f64 = 1000.0;

/// Where a video of `secs` should be cut for so many who make it, in seconds from its start, when
/// pieces of `wanted_secs` are wanted; nowhere where it is not twice as long.
#[must_use]
pub fn moments(secs: f64, wanted_secs: f64, makers: u32) -> Vec<f64> {
    if secs < 2.0 * wanted_secs {
        return Vec::new();
    }
    let shortest = (wanted_secs * SHORTEST).max(secs / MAX_PIECES);
    let longest = (wanted_secs * LONGEST).max(shortest);
    let shares = SHARES_FOR_EACH * f64::from(makers.max(1));
    let after = |at: f64| at + ((secs - at) / shares).clamp(shortest, longest);
    std::iter::successors(Some(after(0.0)), |at| Some(after(*at)))
        // The last is no shorter than the others; to a thousandth, for what is rounded in between.
        .take_while(|at| secs - at > shortest * 0.999)
        .collect()
}

/// The pieces of a video of `secs` that can be cut where `grid` has keyframes; none where that is
/// not worth it. The sound is the first of them: it takes no decoder of pictures, and the whole
/// waits for it.
#[must_use]
pub fn pieces(grid: &Grid, secs: f64, wanted_secs: f64, has_sound: bool) -> Vec<Piece> {
    // Keyframes are where they are: half of the shortest is still worth a start of ffmpeg.
    let shortest_us = (wanted_secs * SHORTEST / 2.0 * 1e6) as i64;
    let end_us = grid.start_us + (secs * 1e6) as i64;
    let mut edges: Vec<Edge> = Vec::new();
    for keyframe_us in &grid.keyframes_us {
        let at_us = keyframe_us - BEFORE_KEYFRAME_US;
        let before_us = edges.last().map_or(grid.first_us, |edge| edge.at_us);
        if at_us - before_us >= shortest_us && end_us - at_us >= shortest_us {
            edges.push(Edge { at_us, seek_us: grid.seek_us(*keyframe_us) });
        }
    }
    if edges.is_empty() {
        return Vec::new();
    }
    let from = std::iter::once(None).chain(edges.iter().copied().map(Some));
    let until = edges.iter().map(|edge| Some(edge.at_us)).chain([None]);
    let pictures = from.zip(until).map(|(from, until_us)| Piece::Pictures(Cut { from, until_us }));
    has_sound.then_some(Piece::Sound).into_iter().chain(pictures).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// How long the pieces are, in seconds.
    fn lengths(secs: f64, wanted_secs: f64, makers: u32) -> Vec<f64> {
        let moments = moments(secs, wanted_secs, makers);
        let from = std::iter::once(0.0).chain(moments.iter().copied());
        let until = moments.iter().copied().chain([secs]);
        from.zip(until).map(|(from, until)| until - from).collect()
    }

    #[test]
    fn a_video_is_cut_into_long_pieces_first_and_short_ones_last() {
        assert_eq!(moments(59.0, 30.0, 8), [0.0; 0]);
        assert_eq!(moments(60.0, 30.0, 8), [15.0, 30.0, 45.0]);
        let hour: Vec<i64> = lengths(3600.0, 30.0, 2).iter().map(|secs| *secs as i64).collect();
        assert_eq!(hour[..22], [120; 22], "four times what is wanted");
        assert_eq!(hour[22..30], [120, 105, 91, 80, 70, 61, 53, 47]);
        assert!(hour[38..].iter().all(|secs| (15..30).contains(secs)), "{hour:?}");
        assert_eq!(moments(86400.0, 30.0, 900).len() + 1, 1000);
    }

    #[test]
    fn one_keyframe_is_nothing_to_cut_at() {
        let grid = Grid { keyframes_us: vec![0], ..Grid::default() };
        assert_eq!(pieces(&grid, 600.0, 30.0, true), []);
    }

    proptest! {
        #[test]
        fn pieces_get_shorter_and_none_is_too_short_or_too_long(
            secs in 2.0_f64..100_000.0,
            wanted_secs in 1.0_f64..3600.0,
            makers in 0_u32..2000,
        ) {
            let lengths = lengths(secs, wanted_secs, makers);
            prop_assert!(lengths.len() <= MAX_PIECES as usize);
            if let [pieces @ .., last] = &lengths[..] && !pieces.is_empty() {
                prop_assert!(pieces.is_sorted_by(|a, b| *a > b - 1e-6));
                prop_assert!(pieces[0] < (wanted_secs * LONGEST).max(secs / MAX_PIECES) + 1e-6);
                let shortest = pieces[pieces.len() - 1];
                prop_assert!(shortest > wanted_secs * SHORTEST - 1e-6);
                prop_assert!((shortest * 0.99..shortest * 2.01).contains(last), "{lengths:?}");
            }
        }

        #[test]
        fn every_moment_is_in_one_piece(
            start_us in -5_000_000_i64..5_000_000,
            keyframes_us in proptest::collection::btree_set(0_i64..600_000_000, 0..40),
            at_us in 0_i64..600_000_000,
        ) {
            let keyframes_us = keyframes_us.iter().map(|at| start_us + at).collect();
            let grid = Grid { start_us, first_us: start_us, keyframes_us, is_reordered: true };
            let pieces = pieces(&grid, 600.0, 30.0, false);
            let has = |piece: &Piece| match piece {
                Piece::Sound => false,
                Piece::Pictures(Cut { from, until_us }) => {
                    from.is_none_or(|edge| edge.at_us <= start_us + at_us)
                        && until_us.is_none_or(|until_us| start_us + at_us < until_us)
                }
            };
            prop_assert!(pieces.len() != 1);
            prop_assert!(
                pieces.is_empty() || pieces.iter().filter(|piece| has(piece)).count() == 1
            );
            for piece in &pieces {
                if let Piece::Pictures(Cut { from: Some(from), until_us: Some(until_us) }) = piece {
                    prop_assert!(until_us - from.at_us >= 7_500_000);
                }
            }
        }
    }
}
