//! How loud a sound is, and how it becomes louder or softer (EBU R 128, ITU-R BS.1770).
//!
//! A [`Sound`] comes in, its [`Loudness`] goes out: one run of ffmpeg's `ebur128`, which writes
//! nothing and tells what it heard on standard error. A [`Gain`] is what is then done about it: one
//! factor for the whole sound, which changes nothing else of it, and only where peaks would be
//! cut a limiter as well.

use std::fmt;

use tokio_util::sync::CancellationToken;

use crate::args::{Arguments, Input, number};
use crate::progress::Progress;
use crate::run::{Given, OutputError};
use crate::{RunError, Tools, policy};

/// The highest true peak that a gain leaves, in dBTP: as EBU R 128 has it.
const MAX_PEAK_DBTP: f64 = -1.0;

/// Where the limiter holds peaks, so that they stay below [`MAX_PEAK_DBTP`] when a lossy codec
/// has had its way with them: -1.5 dB.
const LIMIT: &str = "0.841";

/// Four times the usual rate: between two samples the wave is higher than at either.
const LIMITER_RATE: u32 = 192_000;

/// A sound to be measured.
#[derive(Clone, Debug, PartialEq)]
pub struct Sound {
    /// The file and the part of it.
    pub input: Input,
    /// The stream's number in the file.
    pub stream: u32,
    /// Mixed to so many channels; the source's when not given.
    pub channels: Option<u32>,
    /// Whether there are more than two channels after that.
    pub is_surround: bool,
    /// Heard with this gain.
    pub gain: Option<Gain>,
    /// The most that is heard in seconds.
    pub bound_secs: f64,
}

/// How loud a sound is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Loudness {
    /// Of the whole, in LUFS; silence has none.
    pub integrated_lufs: Option<f64>,
    /// The highest peak, between samples too, in dBTP; silence has none.
    pub true_peak_dbtp: Option<f64>,
    /// How far soft and loud parts are apart, in LU.
    pub range_lu: f64,
}

/// How the loudness of a sound is changed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Gain {
    /// By so many decibels.
    pub decibels: f64,
    /// Whether peaks are held below the limit, because the gain would lift them over it.
    pub limited: bool,
}

impl Gain {
    /// The gain that brings a sound of this loudness to `target_lufs`; none for silence.
    ///
    /// Surround is never limited: it stays softer where its peaks would be cut. ffmpeg 5.1's
    /// limiter lets peaks through when there are more than two channels.
    #[must_use]
    pub fn to(target_lufs: f64, heard: &Loudness, is_surround: bool) -> Option<Self> {
        let decibels = target_lufs - heard.integrated_lufs?;
        let room = MAX_PEAK_DBTP - heard.true_peak_dbtp.unwrap_or(f64::NEG_INFINITY);
        if is_surround {
            return Some(Self { decibels: decibels.min(room), limited: false });
        }
        Some(Self { decibels, limited: decibels > room })
    }

    /// The same, so much louder as the sound with this gain is below `target_lufs`: a limiter
    /// takes from the loudness too.
    #[must_use]
    pub fn corrected(self, target_lufs: f64, heard: &Loudness) -> Self {
        let missing = heard.integrated_lufs.map_or(0.0, |lufs| target_lufs - lufs);
        Self { decibels: self.decibels + missing, ..self }
    }
}

/// As filters of ffmpeg. In floating point, where nothing is cut before the limiter sees it.
impl fmt::Display for Gain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "volume={}dB:precision=float", number(self.decibels))?;
        if self.limited {
            let limiter = format!("alimiter=limit={LIMIT}:level=0:attack=5:release=50");
            write!(f, ",aresample={LIMITER_RATE},{limiter}")?;
        }
        Ok(())
    }
}

/// `filters` after the mix to so many channels: what is delivered is what is measured.
pub(crate) fn chain(channels: Option<u32>, filters: &str) -> String {
    match channels {
        Some(1) => format!("aformat=channel_layouts=mono,{filters}"),
        Some(2) => format!("aformat=channel_layouts=stereo,{filters}"),
        _ => filters.to_owned(),
    }
}

impl Tools {
    /// Listens to a sound.
    ///
    /// The same rules as for [`Tools::run`] hold for `stop`, for dropping and for where to call
    /// it from.
    pub async fn loudness(
        &self,
        sound: &Sound,
        on_progress: impl FnMut(Progress) + Send,
        stop: &CancellationToken,
    ) -> Result<Loudness, RunError> {
        let arguments = arguments(sound).list;
        let given = Given::reading([&sound.input.media]);
        let (_, tail) = self.run_heard(&arguments, given, &[], on_progress, stop).await?;
        read(tail.last_bytes()).map_err(RunError::Output)
    }
}

fn arguments(sound: &Sound) -> Arguments {
    let mut args = Arguments::default();
    // The report is mere information; the last level one that is given counts.
    args.pair("-v", "level+info");
    args.pair("-max_alloc", policy::MAX_ALLOCATION_BYTES);
    sound.input.write(&mut args, None);
    args.pair("-map", format!("0:{}", sound.stream));
    let gain = sound.gain.map(|gain| format!("{gain},")).unwrap_or_default();
    let filters = format!("{gain}ebur128=peak=true:framelog=verbose");
    args.pair("-filter:a", chain(sound.channels, &filters));
    args.pair("-t", number(sound.bound_secs));
    args.pair("-f", "null");
    args.flag("-");
    args
}

/// What is told of silence, in place of a number.
const FLOOR_LUFS: f64 = -70.0;

/// Reads the summary, which is the last thing that is said.
fn read(said: &[u8]) -> Result<Loudness, OutputError> {
    let said = String::from_utf8_lossy(said);
    let (_, summary) = said.rsplit_once("Summary:").ok_or(OutputError::NoSummary)?;
    let after = |name: &str| {
        let line = summary.lines().find_map(|line| line.trim().strip_prefix(name));
        let number = line.and_then(|line| line.split_whitespace().next());
        number.and_then(|number| number.parse().ok()).ok_or(OutputError::NoSummary)
    };
    let (integrated, range, peak): (f64, f64, f64) =
        (after("I:")?, after("LRA:")?, after("Peak:")?);
    let is_silent = !integrated.is_finite() || integrated <= FLOOR_LUFS;
    Ok(Loudness {
        integrated_lufs: (!is_silent).then_some(integrated),
        true_peak_dbtp: Some(peak).filter(|peak| peak.is_finite()),
        range_lu: if range.is_finite() { range } else { 0.0 },
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Seek;

    const SAID: &str = "[info] Stream #0:0: Audio: pcm I: -1.0 LUFS
[Parsed_ebur128_0 @ 0x55] [info] Summary:

  Integrated loudness:
    I:         -33.4 LUFS
    Threshold: -43.7 LUFS

  Loudness range:
    LRA:         1.3 LU
    Threshold: -53.7 LUFS
    LRA low:   -34.0 LUFS
    LRA high:  -32.7 LUFS

  True peak:
    Peak:      -13.5 dBFS
";

    #[test]
    fn the_summary_is_found_behind_whatever_was_said_before() {
        let heard = read(SAID.as_bytes()).unwrap();
        assert_eq!((heard.integrated_lufs, heard.true_peak_dbtp), (Some(-33.4), Some(-13.5)));
        assert!((heard.range_lu - 1.3).abs() < 1e-9);
        assert!(read(b"I: -3.0 LUFS").is_err());
    }

    #[test]
    fn silence_has_no_loudness_and_no_gain() {
        let heard = read(SAID.replace("-33.4", "-70.0").replace("-13.5", "-inf").as_bytes());
        let heard = heard.unwrap();
        assert_eq!((heard.integrated_lufs, heard.true_peak_dbtp), (None, None));
        assert_eq!(Gain::to(-16.0, &heard, false), None);
    }

    #[test]
    fn a_gain_is_one_factor_and_a_limiter_only_where_peaks_would_be_cut() {
        let heard = read(SAID.as_bytes()).unwrap();
        let soft = Gain::to(-23.0, &heard, false).unwrap();
        assert_eq!(soft.to_string(), "volume=10.4dB:precision=float");
        let surround = Gain::to(-16.0, &heard, true).unwrap();
        assert_eq!(surround.to_string(), "volume=12.5dB:precision=float");
        let loud = Gain::to(-16.0, &heard, false).unwrap();
        assert_eq!(
            loud.to_string(),
            "volume=17.4dB:precision=float,aresample=192000,\
             alimiter=limit=0.841:level=0:attack=5:release=50"
        );
        let now = Loudness { integrated_lufs: Some(-16.4), ..heard };
        assert!((loud.corrected(-16.0, &now).decibels - 17.8).abs() < 1e-9);
        assert_eq!(chain(Some(2), "x"), "aformat=channel_layouts=stereo,x");
        assert_eq!(chain(None, "x"), "x");
    }

    #[test]
    fn a_sound_is_heard_and_nothing_is_written() {
        let input = Input {
            media: "/in".into(),
            demuxer: None,
            seek: Seek::At(1.5),
            span_secs: None,
            autorotate: true,
        };
        let (channels, gain) = (Some(1), Some(Gain { decibels: -2.0, limited: false }));
        let sound = Sound { input, stream: 3, channels, is_surround: false, gain, bound_secs: 9.0 };
        let list = arguments(&sound).list;
        let after: Vec<_> = list.iter().skip_while(|word| *word != "-i").collect();
        assert_eq!(
            after,
            [
                "-i",
                "file:/in",
                "-map",
                "0:3",
                "-filter:a",
                "aformat=channel_layouts=mono,volume=-2dB:precision=float,\
                 ebur128=peak=true:framelog=verbose",
                "-t",
                "9",
                "-f",
                "null",
                "-",
            ]
        );
    }

    proptest! {
        #[test]
        fn nothing_that_is_said_makes_it_panic_or_tell_what_is_no_number(
            said in "([ \n]|Summary:|I: |LRA: |Peak: |-?[0-9.]{1,5}|inf|nan){0,60}",
        ) {
            if let Ok(heard) = read(said.as_bytes()) {
                prop_assert!(heard.integrated_lufs.is_none_or(f64::is_finite));
                prop_assert!(heard.range_lu.is_finite());
            }
        }
    }
}
