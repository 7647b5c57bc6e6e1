//! Cues as a SubStation Alpha script: the one form that libass reads without ffmpeg's demuxers.
//!
//! Every brace and backslash of a text is escaped, so that an override in the script is one of
//! those written here: italic, bold, underlined, at the top.

use std::fmt::{self, Write as _};

use super::markup::{Line, Style};
use super::{Cue, Subtitles};
use crate::filter::Rgb;

/// How subtitles look, and which of them are shown.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Look {
    /// The picture's width in pixels.
    pub width: u32,
    /// The picture's height in pixels.
    pub height: u32,
    /// The colour of the text; its edge is black.
    pub color: Rgb,
    /// The second of the cues' time at which the picture begins.
    pub start_secs: f64,
}

/// The text's height as a share of the picture's shorter side.
const FONT_SHARE: f64 = 0.07;

/// Below this nobody can read it.
const MIN_FONT_PIXELS: f64 = 8.0;

impl Subtitles {
    /// The script that shows them as `look` says.
    #[must_use]
    pub fn to_ass(&self, look: &Look) -> String {
        let Look { width, height, color: Rgb { red, green, blue }, start_secs } = *look;
        let font = (f64::from(width.min(height)) * FONT_SHARE).max(MIN_FONT_PIXELS);
        let (edge, side, below) = (font / 16.0, f64::from(width) * 0.05, f64::from(height) * 0.05);
        let mut script = format!(
            "[Script Info]\n\
             ScriptType: v4.00+\n\
             PlayResX: {width}\n\
             PlayResY: {height}\n\
             WrapStyle: 0\n\
             ScaledBorderAndShadow: yes\n\
             YCbCr Matrix: None\n\
             \n\
             [V4+ Styles]\n\
             Format: Name, Fontname, Fontsize, PrimaryColour, OutlineColour, BackColour, \
             BorderStyle, Outline, Shadow, Alignment, MarginL, MarginR, MarginV, Encoding\n\
             Style: Default,sans-serif,{font:.2},&H00{blue:02X}{green:02X}{red:02X},&H00000000,\
             &H00000000,1,{edge:.2},0,2,{side:.0},{side:.0},{below:.0},1\n\
             \n\
             [Events]\n\
             Format: Layer, Start, End, Style, Text\n"
        );
        let before = (start_secs * 1000.0).round() as u64;
        for cue in self.cues.iter().filter(|cue| cue.end_ms > before) {
            // Writing to a String cannot fail.
            let _infallible = write_cue(&mut script, cue, before);
        }
        script
    }
}

fn write_cue(script: &mut String, cue: &Cue, before: u64) -> fmt::Result {
    let (start, end) = (cue.start_ms.saturating_sub(before), cue.end_ms.saturating_sub(before));
    write!(script, "Dialogue: 0,{},{},Default,", Clock(start), Clock(end))?;
    if cue.is_at_top {
        script.push_str("{\\an8}");
    }
    let mut style = Style::default();
    for (number, line) in cue.lines.iter().enumerate() {
        if number > 0 {
            script.push_str("\\N");
        }
        write_line(script, line, &mut style)?;
    }
    script.push('\n');
    Ok(())
}

fn write_line(script: &mut String, line: &Line, style: &mut Style) -> fmt::Result {
    for span in &line.spans {
        let Style { italic, bold, underlined } = span.style;
        for (name, was, is) in [
            ('i', style.italic, italic),
            ('b', style.bold, bold),
            ('u', style.underlined, underlined),
        ] {
            if was != is {
                write!(script, "{{\\{name}{}}}", u8::from(is))?;
            }
        }
        *style = span.style;
        for c in span.text.chars() {
            match c {
                '{' | '}' => script.extend(['\\', c]),
                // There is no escape for it: a mark without width keeps it from being one.
                '\\' => script.extend(['\\', '\u{2060}']),
                c => script.push(c),
            }
        }
    }
    Ok(())
}

/// A time to the hundredth of a second.
struct Clock(u64);

impl fmt::Display for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hundredths = (self.0 + 5) / 10;
        let (secs, minutes) = (hundredths / 100, hundredths / 6000);
        let hours = minutes / 60;
        write!(f, "{hours}:{:02}:{:02}.{:02}", minutes % 60, secs % 60, hundredths % 100)
    }
}
