//! Whether pieces are what they should be, each alone and all together. Pure.

use ffmpeg::{Facts, Moments};

use super::unfit;
use crate::job::{Cut, Piece, PieceFile};
use crate::task::Failure;

/// How many pictures may be missing of those that the source tells of: some containers count one
/// that is never shown.
const MAY_MISS: u64 = 2;

/// How many pictures' time may lie between two pieces of a film whose pictures are all as far
/// apart.
const WIDEST_GAP: f64 = 1.5;

/// Refuses a piece that is empty, or has pictures that are not its own.
pub(super) fn check_piece(cut: &Cut, shown: &Moments) -> Result<(), Failure> {
    if shown.pictures == 0 {
        return Err(unfit("a piece has no pictures"));
    }
    if shown.doubled > 0 {
        return Err(unfit("a piece has two pictures at one moment"));
    }
    // To a tick of the clock that pieces are coded by.
    let is_early = cut.from.is_some_and(|edge| shown.first_us < edge.at_us - 20);
    let is_late = cut.until_us.is_some_and(|until_us| shown.last_us > until_us + 20);
    if is_early || is_late {
        return Err(unfit("a piece has pictures of another"));
    }
    Ok(())
}

/// Refuses pieces that are no whole: in another order than time's, with a gap between two of them,
/// or with fewer pictures than the source tells of.
pub(super) fn check(files: &[(Piece, &PieceFile)], source: &Facts) -> Result<(), Failure> {
    let Some(video) = source.video() else { return Err(unfit("there are no pictures")) };
    let pictures: Vec<&PieceFile> = files
        .iter()
        .filter_map(|(piece, file)| matches!(piece, Piece::Pictures(_)).then_some(*file))
        .collect();
    let steady_us = video.fps.filter(|_| video.is_steady).map(|fps| 1e6 / fps.value());
    for two in pictures.windows(2) {
        let gap_us = two[1].first_us - two[0].last_us;
        if gap_us <= 0 {
            return Err(unfit("a piece begins before the one in front of it has ended"));
        }
        if steady_us.is_some_and(|steady_us| gap_us as f64 > steady_us * WIDEST_GAP) {
            return Err(unfit("there are no pictures between two pieces"));
        }
    }
    let count: u64 = pictures.iter().map(|file| file.pictures).sum();
    if video.frames.is_some_and(|all| count > all || count + MAY_MISS < all) {
        return Err(unfit("the pieces have not as many pictures as the source"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use ffmpeg::{Ratio, Stream, VideoStream};

    use super::*;
    use crate::job::Edge;

    fn film(frames: u64, is_steady: bool) -> Facts {
        let fps = Some(Ratio { num: 25, den: 1 });
        let video = VideoStream { fps, is_steady, frames: Some(frames), ..VideoStream::default() };
        Facts { streams: vec![Stream::Video(video)], ..Facts::default() }
    }

    /// Two pieces of 100 pictures, the second so much later than it should be.
    fn two(late_us: i64) -> [PieceFile; 2] {
        let piece = |n: i64, late_us| PieceFile {
            key: String::new(),
            bytes: 1,
            pictures: 100,
            first_us: n * 4_000_000 + late_us,
            last_us: n * 4_000_000 + 3_960_000,
        };
        [piece(0, 0), piece(1, late_us)]
    }

    fn fits(late_us: i64, source: &Facts) -> bool {
        let files = two(late_us);
        let piece = Piece::Pictures(Cut { from: None, until_us: None });
        let files: Vec<_> = files.iter().map(|file| (piece, file)).collect();
        check(&files, source).is_ok()
    }

    #[test]
    fn pieces_follow_each_other_without_a_gap() {
        assert!(fits(0, &film(200, true)));
        assert!(!fits(40_000, &film(200, true)), "a picture is missing");
        assert!(fits(40_000, &film(200, false)), "it may have been so");
        assert!(!fits(-40_000, &film(200, false)), "two at once");
    }

    #[test]
    fn pieces_have_as_many_pictures_as_the_source() {
        assert!(fits(0, &film(202, true)));
        assert!(!fits(0, &film(203, true)));
        assert!(!fits(0, &film(199, true)));
    }

    #[test]
    fn a_piece_has_its_own_pictures_alone() {
        let edge = Edge { at_us: 1_000_000, seek_us: 1_000_500 };
        let cut = Cut { from: Some(edge), until_us: Some(2_000_000) };
        let shown = Moments { pictures: 25, first_us: 1_000_500, last_us: 1_960_500, doubled: 0 };
        assert!(check_piece(&cut, &shown).is_ok());
        for wrong in [
            Moments { first_us: 960_500, ..shown },
            Moments { last_us: 2_000_500, ..shown },
            Moments { doubled: 1, ..shown },
            Moments { pictures: 0, ..shown },
        ] {
            assert!(check_piece(&cut, &wrong).is_err(), "{wrong:?}");
        }
    }
}
