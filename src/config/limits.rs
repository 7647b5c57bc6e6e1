//! How much strangers may ask for: of the listener, and of one input.

use std::time::Duration;

use super::Limits;
use super::parse::{Reader, duration, number, size};

impl Reader<'_> {
    pub(super) fn limits(&mut self) -> Limits {
        let input_duration = self.parsed("max_input_duration", duration);
        let task = self.parsed("task_timeout", duration);
        Limits {
            input_bytes: self.parsed("max_input_size", size).unwrap_or(10 << 30),
            input_duration: input_duration.unwrap_or(Duration::from_hours(24)),
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
