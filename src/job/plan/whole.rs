//! Whether what was made is all that was asked for.
//!
//! ffmpeg ends an output at its bounds, and a broken input where it breaks, and calls both a
//! success. Half a video is none: whoever made it asks here before it is called an output.

use bytesize::ByteSize;
use ffmpeg::Ran;

use super::Plan;
use crate::task::{ErrorKind, Failure};

/// How close to a bound of time an output ends that was cut there.
const NEAR_SECS: f64 = 0.1;

/// How much may be missing at the end of an input that is cut off: a share of it, and at least
/// so many seconds. Nobody misses the last pictures of a call that was interrupted.
const MAY_MISS: f64 = 0.02;
const MAY_MISS_SECS: f64 = 0.5;

impl Plan {
    /// Refuses outputs that came, together, to the limit of bytes.
    ///
    /// # Errors
    ///
    /// It did: what is missing of it, ffmpeg does not tell.
    pub fn check_size(&self, size_bytes: u64) -> Result<(), Failure> {
        match self.last_command() {
            Some(command) if size_bytes >= command.bounds.bytes => {
                let limit = ByteSize(command.bounds.bytes).display().si();
                Err(Failure::new(
                    ErrorKind::OutputTooLarge,
                    format!("the output grows over the {limit} that are kept"),
                )
                .hint("ask for a lower quality, a smaller size or a shorter part"))
            }
            _ => Ok(()),
        }
    }

    /// Refuses a film whose subtitles could not be written into it.
    ///
    /// # Errors
    ///
    /// A letter of them is in no font of this server.
    pub fn check_glyphs(&self, ran: &Ran) -> Result<(), Failure> {
        let Some(missing) = ran.missing_glyph else { return Ok(()) };
        Err(if missing == '\0' {
            Failure::new(ErrorKind::FontMissing, "this server has no font for subtitles")
                .hint("whoever runs it installs one, such as Debian's fonts-dejavu-core")
        } else {
            let code = u32::from(missing);
            let message = format!(
                "no font of this server has {missing} (U+{code:04X}), which the subtitles use"
            );
            Failure::new(ErrorKind::FontMissing, message)
                .hint("whoever runs it installs one, such as Debian's fonts-noto-cjk")
        })
    }

    /// Whether an output of `pictures` at most may have come to the bound of them.
    #[must_use]
    pub fn may_be_full(&self, pictures: f64) -> bool {
        let bound = self.last_command().map_or(0, |command| command.bounds.frames);
        bound > 1 && pictures >= bound as f64
    }

    /// Refuses an output of `secs` that holds less than was asked for.
    ///
    /// # Errors
    ///
    /// It came to a limit of this server, or its input is not whole.
    pub fn check_whole(&self, ran: &Ran, secs: Option<f64>) -> Result<(), Failure> {
        let Some(command) = self.last_command() else { return Ok(()) };
        let (bounds, expected) = (command.bounds, command.expected_secs);
        let found = secs.unwrap_or(ran.written.out_secs);
        // One picture is what an image is; sound has none.
        if bounds.frames > 1 && ran.written.frame >= bounds.frames {
            return Err(Failure::new(
                ErrorKind::InputOverLimit,
                format!("the output would have more than {} pictures", bounds.frames),
            )
            .hint("ask for fewer `fps`, or for a shorter part"));
        }
        let bound = bounds.secs - NEAR_SECS;
        let is_expected = expected.is_some_and(|secs| secs >= bound);
        if self.is_capped && found >= bound && !is_expected {
            return Err(Failure::new(
                ErrorKind::InputOverLimit,
                format!("the input is longer than the {:.0} s that are taken", bounds.secs),
            )
            .hint("ask for a part of it with `start` and `end`"));
        }
        if ran.time_is_lost {
            return Err(Failure::new(
                ErrorKind::InputCorrupt,
                "the input's clock is broken: there are hours between two pictures",
            )
            .hint("ask for a part of it with `start` and `end`"));
        }
        match expected {
            Some(secs) if ran.input_is_cut_off => check_missing(found, secs),
            _ => Ok(()),
        }
    }
}

fn check_missing(found: f64, expected: f64) -> Result<(), Failure> {
    if expected - found <= MAY_MISS_SECS.max(expected * MAY_MISS) {
        return Ok(());
    }
    Err(Failure::new(
        ErrorKind::InputCorrupt,
        format!("the input is cut off: {found:.1} s of {expected:.1} s are there"),
    )
    .hint("send the whole file, or ask for the part that is there with `end`"))
}

#[cfg(test)]
mod tests {
    use ffmpeg::{Facts, Progress, Stream, VideoStream};

    use super::*;
    use crate::job::Options;
    use crate::job::plan::{Known, Settings, Workspace, plan};
    use crate::task::Kind;

    /// A video of an input that says it is 4 s long, on a server that takes 10 s.
    fn video(options: &serde_json::Value, duration: Option<f64>) -> Plan {
        let options = options.as_object().expect("an object");
        let options = Options::decode(Kind::Video, options).expect("valid options");
        let video = VideoStream {
            codec: "h264".into(),
            width: 320,
            height: 180,
            bit_depth: 8,
            ..VideoStream::default()
        };
        let facts = Facts {
            format: "mov,mp4".into(),
            duration,
            streams: vec![Stream::Video(video)],
            ..Facts::default()
        };
        let files = Workspace { input: "/in".into(), output: "/out".into() };
        let settings =
            Settings { max_duration_secs: 10.0, max_output_bytes: 1000, ..Settings::default() };
        plan(&options, &facts, &Known::default(), &files, &settings).expect("a plan")
    }

    fn verdict(plan: &Plan, frame: u64, secs: f64, ran: &Ran) -> Option<&'static str> {
        let ran = Ran { written: Progress { frame, ..Progress::default() }, ..ran.clone() };
        plan.check_whole(&ran, Some(secs)).err().map(|failure| failure.kind.name())
    }

    #[test]
    fn what_came_to_a_bound_that_nobody_asked_for_is_refused() {
        let nothing = serde_json::json!({});
        let (told, untold) = (video(&nothing, Some(4.0)), video(&nothing, None));
        let asked = video(&serde_json::json!({ "end": 8, "fps": 10 }), None);
        let all = video(&nothing, Some(10.0));
        let ran = Ran::default();
        assert_eq!(verdict(&told, 100, 4.0, &ran), None);
        assert_eq!(verdict(&told, 250, 9.96, &ran), Some("input_over_limit"));
        assert_eq!(verdict(&untold, 250, 10.0, &ran), Some("input_over_limit"));
        assert_eq!(verdict(&untold, 1202, 4.0, &ran), Some("input_over_limit"));
        assert_eq!(verdict(&all, 250, 10.0, &ran), None);
        assert_eq!(verdict(&asked, 81, 8.0, &ran), None);
        assert_eq!(verdict(&asked, 82, 8.0, &ran), Some("input_over_limit"));
        assert_eq!(told.check_size(999), Ok(()));
        let failure = told.check_size(1000).expect_err("too large");
        assert_eq!(failure.kind, ErrorKind::OutputTooLarge);
    }

    #[test]
    fn an_input_that_was_cut_off_is_refused_when_something_is_missing() {
        let told = video(&serde_json::json!({}), Some(4.0));
        let part = video(&serde_json::json!({ "end": 2 }), Some(4.0));
        let cut = Ran { input_is_cut_off: true, ..Ran::default() };
        assert_eq!(verdict(&told, 50, 2.0, &cut), Some("input_corrupt"));
        assert_eq!(verdict(&told, 50, 2.0, &Ran::default()), None, "files lie about their length");
        assert_eq!(verdict(&told, 90, 3.6, &cut), None);
        assert_eq!(verdict(&part, 50, 2.0, &cut), None);
        let lost = Ran { time_is_lost: true, ..Ran::default() };
        assert_eq!(verdict(&told, 2, 1.0, &lost), Some("input_corrupt"));
    }
}
