//! How much strangers may ask for: of the listener, and of one input.

use std::fmt::Display;
use std::str::FromStr;
use std::time::Duration;

use super::Limits;
use super::parse::{Reader, duration, number, size};
use crate::job::plan::Settings;

impl Reader<'_> {
    pub(super) fn limits(&mut self) -> Limits {
        let input_duration = self.parsed("max_input_duration", duration);
        let task = self.parsed("task_timeout", duration);
        let usual = Settings::default();
        Limits {
            input_bytes: self.parsed("max_input_size", size).unwrap_or(10 << 30),
            input_duration: input_duration.unwrap_or(Duration::from_hours(24)),
            input_pixels: self.parsed("max_pixels", pixels).unwrap_or(usual.max_pixels),
            input_streams: self.parsed("max_streams", streams).unwrap_or(usual.max_streams),
            output_fps: self.parsed("max_fps", fps).unwrap_or(usual.max_fps),
            task: task.unwrap_or(Duration::from_hours(6)),
            ffmpeg_memory_bytes: self.parsed("max_ffmpeg_memory", size).unwrap_or(4 << 30),
        }
    }

    pub(super) fn max_connections(&mut self) -> usize {
        self.parsed("max_connections", connections).unwrap_or(1024)
    }
}

/// Fewer would leave no room for health checks beside callers.
fn connections(text: &str) -> Result<usize, String> {
    match number(text)? {
        few if few < 8 => Err("at least 8 are needed".to_owned()),
        connections => Ok(connections),
    }
}

/// What ffmpeg is told to take stands in its arguments: a setting can only take less.
fn up_to<T: PartialOrd + Display + FromStr + From<u8>>(text: &str, most: T) -> Result<T, String> {
    let number: T = number(text)?;
    if number < T::from(1) || number > most {
        return Err(format!("it is from 1 to {most}"));
    }
    Ok(number)
}

fn pixels(text: &str) -> Result<u64, String> {
    up_to(text, Settings::default().max_pixels)
}

fn streams(text: &str) -> Result<u32, String> {
    up_to(text, Settings::default().max_streams)
}

fn fps(text: &str) -> Result<f64, String> {
    up_to(text, Settings::default().max_fps as u32).map(f64::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_can_be_lowered_and_not_raised_over_what_ffmpeg_is_told() {
        assert_eq!(streams("1"), Ok(1));
        assert_eq!(streams("64"), Ok(64));
        assert_eq!(streams("65"), Err("it is from 1 to 64".to_owned()));
        assert_eq!(pixels("0"), Err("it is from 1 to 67108864".to_owned()));
        assert_eq!(fps("30"), Ok(30.0));
        assert!(fps("121").is_err() && fps("many").is_err());
        assert!(connections("7").is_err());
    }
}
