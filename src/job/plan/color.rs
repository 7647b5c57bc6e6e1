//! What the numbers of a source's picture mean, and whether that can be left as it is.
//!
//! Facts come in as a file tells them, with gaps; a meaning in full goes out. Standard pictures
//! keep theirs and are labelled with it, so that no player has to guess. Pictures with more
//! light (PQ, HLG) or wider colours are converted to BT.709, unless a codec was asked for that
//! keeps them.

use ffmpeg::VideoStream;
use ffmpeg::filter::{Filter, Matrix, Meaning, Range};

/// From this height on, a file that does not say so is of high definition.
const HD_LINES: u32 = 720;

/// What a source's numbers are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Coding {
    /// Red, green, blue, or grey.
    Rgb,
    /// Brightness and colour, in this meaning.
    Yuv {
        /// The meaning in full.
        meaning: Meaning,
        /// How ffmpeg is told to read them; as the picture says when nothing is given.
        matrix: Option<Matrix>,
    },
}

impl Coding {
    /// What tone mapping and conversion end in.
    pub(super) const BT709: Self =
        Self::Yuv { meaning: Meaning::BT709, matrix: Some(Matrix::Bt709) };

    /// What the numbers of `video` are; `still` pictures follow other customs than films.
    pub(super) fn of(video: &VideoStream, still: bool) -> Self {
        if is_rgb(&video.pixel_format) {
            return Self::Rgb;
        }
        let color = &video.color;
        let (meaning, matrix) = match color.space.as_str() {
            "bt709" => (Meaning::BT709, Some(Matrix::Bt709)),
            "smpte170m" => (Meaning::SMPTE170M, Some(Matrix::Bt601)),
            "bt470bg" => (Meaning::BT470BG, Some(Matrix::Bt601)),
            "bt2020nc" | "bt2020c" => (Meaning::BT2020, Some(Matrix::Bt2020)),
            "" | "unknown" | "unspecified" if video.is_hdr() => {
                (Meaning::BT2020, Some(Matrix::Bt2020))
            }
            "" | "unknown" | "unspecified" if !still && short_side(video) >= HD_LINES => {
                (Meaning::BT709, Some(Matrix::Bt709))
            }
            "" | "unknown" | "unspecified" => (Meaning::SMPTE170M, Some(Matrix::Bt601)),
            _ => (Meaning::BT709, None),
        };
        let meaning = meaning.refined(&color.space, &color.primaries, &color.transfer);
        Self::Yuv { meaning, matrix }
    }

    /// How the numbers are read when they are scaled.
    pub(super) const fn matrix(self) -> Option<Matrix> {
        match self {
            Self::Rgb => None,
            Self::Yuv { matrix, .. } => matrix,
        }
    }

    /// The meaning that a standard video of them is labelled with.
    pub(super) const fn label(self) -> Meaning {
        match self {
            Self::Rgb | Self::Yuv { matrix: None, .. } => Meaning::BT709,
            Self::Yuv { meaning, .. } => meaning,
        }
    }

    /// The matrix that goes with [`Coding::label`].
    pub(super) const fn label_matrix(self) -> Matrix {
        match self.matrix() {
            Some(matrix) => matrix,
            None => Matrix::Bt709,
        }
    }
}

/// The filter that makes a standard picture of `video`, if it is not one.
pub(super) fn to_standard(video: &VideoStream, coding: Coding) -> Option<Filter> {
    let meaning = match coding {
        Coding::Yuv { meaning, .. } => meaning,
        Coding::Rgb => return None,
    }
    .with_range(range(video));
    let wide = video.color.primaries == "bt2020" || video.color.space.starts_with("bt2020");
    if video.is_hdr() {
        Some(Filter::ToneMap(meaning))
    } else {
        wide.then_some(Filter::ToBt709(meaning))
    }
}

fn range(video: &VideoStream) -> Range {
    let full = video.color.range == "pc" || video.pixel_format.starts_with("yuvj");
    if full { Range::Pc } else { Range::Tv }
}

fn short_side(video: &VideoStream) -> u32 {
    video.width.min(video.height)
}

fn is_rgb(pixel_format: &str) -> bool {
    const STARTS: &[&str] = &[
        "rgb", "bgr", "gbr", "argb", "abgr", "0rgb", "0bgr", "x2rgb", "pal8", "gray", "ya", "mono",
    ];
    STARTS.iter().any(|start| pixel_format.starts_with(start))
}

#[cfg(test)]
mod tests {
    use ffmpeg::Color;

    use super::*;

    fn video(pixel_format: &str, height: u32, color: [&str; 3]) -> VideoStream {
        let [space, transfer, primaries] = color.map(str::to_owned);
        VideoStream {
            pixel_format: pixel_format.into(),
            width: height * 2,
            height,
            color: Color { range: String::new(), space, transfer, primaries },
            ..VideoStream::default()
        }
    }

    #[test]
    fn a_silent_file_is_read_by_its_height() {
        let hd = Coding::of(&video("yuv420p", 1080, [""; 3]), false);
        let sd = Coding::of(&video("yuv420p", 480, [""; 3]), false);
        assert_eq!((hd.matrix(), hd.label()), (Some(Matrix::Bt709), Meaning::BT709));
        assert_eq!((sd.matrix(), sd.label()), (Some(Matrix::Bt601), Meaning::SMPTE170M));
        let still = Coding::of(&video("yuvj420p", 1080, [""; 3]), true);
        assert_eq!(still.matrix(), Some(Matrix::Bt601));
    }

    #[test]
    fn only_light_and_colours_beyond_the_standard_are_converted() {
        let cases = [
            (["bt709", "bt709", "bt709"], "none"),
            (["bt709", "bt709", "smpte432"], "none"),
            (["bt2020nc", "smpte2084", "bt2020"], "tone map"),
            (["", "arib-std-b67", ""], "tone map"),
            (["bt2020nc", "bt2020-10", "bt2020"], "convert"),
        ];
        for (color, wanted) in cases {
            let video = video("yuv420p10le", 1080, color);
            let done = match to_standard(&video, Coding::of(&video, false)) {
                Some(Filter::ToneMap(_)) => "tone map",
                Some(Filter::ToBt709(_)) => "convert",
                _ => "none",
            };
            assert_eq!(done, wanted, "{color:?}");
        }
    }

    #[test]
    fn names_from_a_file_never_become_part_of_a_filter() {
        let evil = "bt709,movie=/etc/passwd";
        let video = video("yuv420p", 480, [evil; 3]);
        let coding = Coding::of(&video, false);
        let tag = Filter::Tag { range: Range::Tv, meaning: coding.label() };
        assert!(!tag.to_string().contains("movie"), "{tag}");
    }
}
