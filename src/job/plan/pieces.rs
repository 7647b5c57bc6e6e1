//! Where a long video is cut, so that many can make it.

use ffmpeg::Grid;

use crate::job::{Cut, Edge, Piece};

/// How far in front of a keyframe a piece begins, in microseconds: behind the picture before it,
/// for no film has more than 1000 a second.
const BEFORE_KEYFRAME_US: i64 = 500;

/// How many pieces there are for each who may make one: the quick make more of them than the slow,
/// and nobody waits long for the last.
const PIECES_FOR_EACH: f64 = 12.0;

/// How many times as long as the shortest a piece is at most.
const LONGEST: f64 = 10.0;

/// The most pieces of a video.
const MAX_PIECES: f64 = 1000.0;

/// Where a video of `secs` should be cut for so many who make it, in seconds from its start, when no
/// piece shall be shorter than `at_least_secs`; nowhere where it is too short.
#[must_use]
pub fn moments(secs: f64, at_least_secs: f64, makers: u32) -> Vec<f64> {
    let for_each = secs / (PIECES_FOR_EACH * f64::from(makers.max(1)));
    let piece = for_each.clamp(at_least_secs, at_least_secs * LONGEST).max(secs / MAX_PIECES);
    // To the next whole number where only rounding is in between.
    let count = (secs / piece + 1e-6).floor() as u32;
    (1..count).map(|number| f64::from(number) * secs / f64::from(count)).collect()
}

/// The pieces of a video of `secs` that can be cut where `grid` has keyframes; none where that is
/// not worth it. The sound is the first of them: it takes no decoder of pictures, and the whole
/// waits for it.
#[must_use]
pub fn pieces(grid: &Grid, secs: f64, at_least_secs: f64, has_sound: bool) -> Vec<Piece> {
    let shortest_us = (at_least_secs / 2.0 * 1e6) as i64;
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

    #[test]
    fn a_video_is_cut_for_those_who_make_it_and_never_short() {
        assert_eq!(moments(59.0, 30.0, 8), [0.0; 0]);
        assert_eq!(moments(60.0, 30.0, 8), [30.0]);
        assert_eq!(
            moments(36_000.0, 30.0, 2).len() + 1,
            120,
            "none longer than ten of the shortest"
        );
        assert_eq!(moments(3600.0, 30.0, 2).len() + 1, 24, "twelve for each");
        assert_eq!(moments(3600.0, 30.0, 10).len() + 1, 120, "none shorter than the shortest");
        assert_eq!(moments(86400.0, 30.0, 900).len() + 1, 1000);
    }

    #[test]
    fn one_keyframe_is_nothing_to_cut_at() {
        let grid = Grid { keyframes_us: vec![0], ..Grid::default() };
        assert_eq!(pieces(&grid, 600.0, 30.0, true), []);
    }

    proptest! {
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
                    prop_assert!(until_us - from.at_us >= 15_000_000);
                }
            }
        }
    }
}
