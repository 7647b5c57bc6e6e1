//! Subtitles of strangers, read by ourselves: no demuxer of ffmpeg ever opens their file.
//!
//! Bytes of a SubRip or WebVTT file come in; [`Subtitles`] go out: times, plain text and three
//! switches (italic, bold, underlined). Everything else that such a file may hold is left
//! behind: overrides, fonts, colours, positions but for "at the top", styles, scripts. What is
//! given to ffmpeg is written anew from that by [`Subtitles::to_ass`].

mod ass;
mod markup;
mod time;

#[cfg(test)]
mod tests;

pub use ass::Look;

use self::markup::{Line, Markup};

/// The largest file that is read: two hours of talk take a tenth of it.
pub const MAX_BYTES: usize = 1 << 20;

/// The most cues: one a second for five hours.
const MAX_CUES: usize = 20_000;

/// The most text of one cue, in characters.
const MAX_CUE_CHARS: usize = 2_000;

/// The most cues that are shown at one time: more than fit on a screen.
const MAX_AT_ONCE: usize = 16;

/// Subtitles as they are shown: cues in the order in which they begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subtitles {
    cues: Vec<Cue>,
}

/// A text and when it is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Cue {
    start_ms: u64,
    /// After the start.
    end_ms: u64,
    is_at_top: bool,
    lines: Vec<Line>,
}

/// Why a file is not taken for subtitles.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SubtitleError {
    /// More than [`MAX_BYTES`].
    #[error("the file is larger than the {MAX_BYTES} bytes allowed")]
    TooLarge,
    /// Not UTF-8, nor UTF-16 that says so.
    #[error("the file is not a text in UTF-8")]
    NotUtf8,
    /// SubStation Alpha: a language for drawing, not a text with times.
    #[error("the file is SubStation Alpha; SubRip and WebVTT are taken")]
    SubStation,
    /// None of the formats.
    #[error("the file is neither SubRip nor WebVTT")]
    Unknown,
    /// A line that has an arrow and no two times.
    #[error("line {line} is not a time such as 00:00:01,000 --> 00:00:02,500")]
    Time {
        /// Its number, from 1.
        line: usize,
    },
    /// No cue has any text.
    #[error("the file holds no text to show")]
    Empty,
    /// More cues than any film has.
    #[error("the file has more than {MAX_CUES} cues")]
    TooManyCues,
    /// A cue that fills more than the picture.
    #[error("the text at line {line} is longer than {MAX_CUE_CHARS} characters")]
    TooLong {
        /// The number of the line with its time, from 1.
        line: usize,
    },
    /// More cues at one time than fit into a picture.
    #[error("more than {MAX_AT_ONCE} cues are to be shown at one time")]
    TooManyAtOnce,
}

impl Subtitles {
    /// Reads a SubRip or WebVTT file.
    pub fn parse(bytes: &[u8]) -> Result<Self, SubtitleError> {
        if bytes.len() > MAX_BYTES {
            return Err(SubtitleError::TooLarge);
        }
        let text = decoded(bytes)?;
        let start = text.trim_start();
        let markup = if is_web_vtt(start) { Markup::WebVtt } else { Markup::SubRip };
        if start.starts_with("[Script Info]") {
            return Err(SubtitleError::SubStation);
        }
        let is_other = start.starts_with("#EXT") || start.starts_with('<');
        if markup == Markup::SubRip && (is_other || !text.contains(time::ARROW)) {
            return Err(SubtitleError::Unknown);
        }
        let mut cues = cues(&text, markup)?;
        if cues.is_empty() {
            return Err(SubtitleError::Empty);
        }
        cues.sort_by_key(|cue| cue.start_ms);
        check_at_once(&cues)?;
        Ok(Self { cues })
    }
}

fn is_web_vtt(text: &str) -> bool {
    let rest = text.strip_prefix("WEBVTT");
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t', '\n', '\r']))
}

/// The text of a file; a binary one is none.
fn decoded(bytes: &[u8]) -> Result<String, SubtitleError> {
    let wide = |units: &[u8], unit: fn([u8; 2]) -> u16| {
        let units: Vec<u16> = units.chunks_exact(2).map(|pair| unit([pair[0], pair[1]])).collect();
        String::from_utf16(&units).map_err(|_| SubtitleError::NotUtf8)
    };
    let text = match bytes {
        [0xff, 0xfe, rest @ ..] => wide(rest, u16::from_le_bytes)?,
        [0xfe, 0xff, rest @ ..] => wide(rest, u16::from_be_bytes)?,
        [0xef, 0xbb, 0xbf, rest @ ..] => utf8(rest)?,
        _ => utf8(bytes)?,
    };
    if text.contains('\0') { Err(SubtitleError::Unknown) } else { Ok(text) }
}

fn utf8(bytes: &[u8]) -> Result<String, SubtitleError> {
    std::str::from_utf8(bytes).map(str::to_owned).map_err(|_| SubtitleError::NotUtf8)
}

/// The lines of a file, ended as any system ends them.
fn lines(text: &str) -> Vec<&str> {
    text.split('\n').flat_map(|line| line.strip_suffix('\r').unwrap_or(line).split('\r')).collect()
}

fn cues(text: &str, markup: Markup) -> Result<Vec<Cue>, SubtitleError> {
    let lines = lines(text);
    let is_time = |at: usize| lines.get(at).is_some_and(|line| line.contains(time::ARROW));
    let mut cues = Vec::new();
    let mut at = (0..lines.len()).find(|&at| is_time(at)).unwrap_or(lines.len());
    while at < lines.len() {
        let head = at;
        let timing = time::timing(lines[head]).ok_or(SubtitleError::Time { line: head + 1 })?;
        at += 1;
        let first = at;
        let mut end = None;
        while at < lines.len() && !is_time(at) {
            let is_blank = lines[at].trim().is_empty();
            let is_last = match markup {
                // What follows up to the next time is a comment, a style or that cue's name.
                Markup::WebVtt => is_blank,
                // Careless files have blank lines within a text, and none between two cues.
                Markup::SubRip => is_time(at + 1) && is_number(lines[at]),
            };
            if is_last && end.is_none() {
                end = Some(at);
            }
            at += 1;
        }
        let body = &lines[first..end.unwrap_or(at)];
        if body.iter().map(|line| line.len()).sum::<usize>() > 4 * MAX_CUE_CHARS {
            return Err(SubtitleError::TooLong { line: head + 1 });
        }
        let (lines, says_top) = markup.read(body);
        if lines.iter().map(Line::chars).sum::<usize>() > MAX_CUE_CHARS {
            return Err(SubtitleError::TooLong { line: head + 1 });
        }
        let time::Timing { start_ms, end_ms, is_at_top } = timing;
        if end_ms <= start_ms || lines.is_empty() {
            continue;
        }
        if cues.len() == MAX_CUES {
            return Err(SubtitleError::TooManyCues);
        }
        cues.push(Cue { start_ms, end_ms, is_at_top: is_at_top || says_top, lines });
    }
    Ok(cues)
}

fn is_number(line: &str) -> bool {
    let line = line.trim();
    !line.is_empty() && line.bytes().all(|byte| byte.is_ascii_digit())
}

/// The time that one picture takes grows with the cues in it.
fn check_at_once(cues: &[Cue]) -> Result<(), SubtitleError> {
    let mut shown: Vec<u64> = Vec::new();
    for cue in cues {
        shown.retain(|end_ms| *end_ms > cue.start_ms);
        shown.push(cue.end_ms);
        if shown.len() > MAX_AT_ONCE {
            return Err(SubtitleError::TooManyAtOnce);
        }
    }
    Ok(())
}
