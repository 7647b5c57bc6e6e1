//! Which seconds of the input are used.

use ffmpeg::Seek;

use super::Settings;
use crate::task::{ErrorKind, Failure};

/// How many pictures a constant rate may make of any input, however small it is.
const MIN_FILLED: u64 = 10_000;

/// Which seconds of the input are used.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Span {
    /// Where reading begins.
    pub(super) seek: Seek,
    /// How many seconds are read, when an end was asked for.
    pub(super) read_secs: Option<f64>,
    /// The bound of the output in seconds.
    pub(super) bound_secs: f64,
    /// Whether that bound is the server's own, and not the end that was asked for.
    pub(super) is_capped: bool,
    /// How long the output will be, if that can be told.
    pub(super) expected_secs: Option<f64>,
}

impl Span {
    /// From `start` to `end`, or to the input's end where that comes first.
    ///
    /// # Errors
    ///
    /// The input is known to end before `start`.
    pub(super) fn new(
        start: f64,
        end: Option<f64>,
        duration: Option<f64>,
        settings: &Settings,
    ) -> Result<Self, Failure> {
        if let Some(duration) = duration.filter(|duration| start >= *duration) {
            return Err(Failure::new(
                ErrorKind::InputTooShort,
                format!("`start` is at {start} s, but the input ends at {duration:.3} s"),
            )
            .hint("choose an earlier `start`"));
        }
        let read_secs = end.map(|end| end - start);
        let rest = duration.map(|duration| duration - start);
        Ok(Self {
            seek: if start > 0.0 { Seek::At(start) } else { Seek::Start },
            read_secs,
            is_capped: read_secs.is_none_or(|secs| secs > settings.max_duration_secs),
            bound_secs: read_secs.unwrap_or(f64::MAX).min(settings.max_duration_secs),
            expected_secs: match (read_secs, rest) {
                (Some(asked), Some(rest)) => Some(asked.min(rest)),
                (asked, rest) => asked.or(rest),
            },
        })
    }

    /// More pictures than the output can have at `fps` a second, rounding included.
    pub(super) fn frames(&self, fps: f64) -> u64 {
        (self.bound_secs * fps).ceil() as u64 + 2
    }

    /// The same where a constant rate fills the gaps between the pictures of an input of so many
    /// bytes. A picture of a real film costs bytes; a gap of hours in a file of a kilobyte would
    /// be filled with a million of them.
    pub(super) fn filled(&self, fps: f64, size_bytes: u64) -> u64 {
        self.frames(fps).min(size_bytes.max(MIN_FILLED))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(start: f64, end: Option<f64>, duration: Option<f64>) -> Result<Span, Failure> {
        Span::new(start, end, duration, &Settings::default())
    }

    #[test]
    fn a_start_behind_the_end_of_the_input_is_an_error_of_the_input() {
        let failure = span(10.0, None, Some(5.3)).expect_err("too short");
        assert_eq!(failure.kind, ErrorKind::InputTooShort);
        assert_eq!(failure.message, "`start` is at 10 s, but the input ends at 5.300 s");
        assert!(span(10.0, None, None).is_ok(), "an unknown length refuses nothing");
    }

    #[test]
    fn an_end_behind_the_end_of_the_input_is_cut() {
        let span = span(4.0, Some(20.0), Some(5.0)).expect("a second is left");
        assert_eq!(span.expected_secs, Some(1.0));
        assert_eq!((span.read_secs, span.bound_secs), (Some(16.0), 16.0));
        assert_eq!(span.frames(10.0), 162);
    }

    #[test]
    fn a_constant_rate_makes_no_more_pictures_of_an_input_than_it_has_bytes() {
        let gap = span(0.0, None, Some(36_001.0)).expect("ten hours");
        assert_eq!(gap.filled(25.0, 1350), 10_000);
        assert_eq!(gap.filled(25.0, 500_000), 500_000);
        assert_eq!(gap.filled(25.0, 1 << 30), gap.frames(25.0));
        let short = span(0.0, Some(2.0), None).expect("two seconds");
        assert_eq!(short.filled(25.0, 1350), 52);
    }
}
