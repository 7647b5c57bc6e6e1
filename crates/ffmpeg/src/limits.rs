//! What one run of ffmpeg or ffprobe may cost, in time, memory and disk.

use std::time::Duration;

/// What one run may cost. Address space and disk are held by the kernel, time and memory in use
/// by [`crate::Tools`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How long a run of ffmpeg may take in all. 6 hours.
    pub wall: Duration,
    /// How long ffmpeg may make no progress: no new picture, no new second, no new byte. 60
    /// seconds, which a filter that reads the whole input first (a palette) must stay under.
    pub stall: Duration,
    /// How much of the processors' time a run of ffprobe may take. 20 seconds: of 6,155 files the
    /// slowest took 2.5.
    pub probe_processor: Duration,
    /// How long a run of ffprobe may take in all. A minute, which no file makes it take: only a
    /// machine that has no time for it.
    pub probe_wall: Duration,
    /// How long a process that is asked to end may take before it is killed. 2 seconds; one
    /// that fills a gap of hours with pictures ignored the question for 21.
    pub grace: Duration,
    /// Memory in use by a run of ffmpeg in bytes; one that has more is killed. 4 GiB.
    pub memory_bytes: u64,
    /// Memory in use by a run of ffprobe in bytes. 1 GiB.
    pub probe_memory_bytes: u64,
    /// Address space in bytes. 16 GiB: stacks of encoder threads count whole, used or not, so
    /// this stops a runaway and does not meter.
    pub address_space_bytes: u64,
    /// The largest file a run may write in bytes. 64 GiB.
    pub output_bytes: u64,
    /// How much nicer than its parent a run is to others: 0 to 19. 10.
    pub nice: i32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            wall: Duration::from_hours(6),
            stall: Duration::from_mins(1),
            probe_processor: Duration::from_secs(20),
            probe_wall: Duration::from_mins(1),
            grace: Duration::from_secs(2),
            memory_bytes: 4 << 30,
            probe_memory_bytes: 1 << 30,
            address_space_bytes: 16 << 30,
            output_bytes: 64 << 30,
            nice: 10,
        }
    }
}
