//! ffmpeg's `-progress` lines, as they arrive, into [`Progress`].
//!
//! Bytes come in as the pipe delivers them, cut anywhere; a report goes out at each `progress=`
//! line. Unknown keys, `N/A`, negative numbers and garbage leave the last value as it was; a
//! line of any length costs [`LINE_BYTES`] at most.

/// The longest line that is kept in bytes; ffmpeg's own are under 40.
const LINE_BYTES: usize = 256;

/// How far a run has come.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Progress {
    /// Pictures written.
    pub frame: u64,
    /// How much of the output's own time is written, in seconds: finite, at least 0.
    pub out_secs: f64,
    /// Bytes written.
    pub total_bytes: u64,
    /// Seconds of output a second of work; `None` until ffmpeg knows.
    pub speed: Option<f64>,
    /// Whether this is the last report.
    pub ended: bool,
}

impl Progress {
    /// Whether more is done than in `earlier`; the speed is no sign of life.
    #[must_use]
    pub fn moved_since(&self, earlier: &Self) -> bool {
        (self.frame, self.out_secs.to_bits(), self.total_bytes)
            != (earlier.frame, earlier.out_secs.to_bits(), earlier.total_bytes)
    }
}

/// Reads `-progress` lines.
#[derive(Debug, Default)]
pub struct Parser {
    line: Vec<u8>,
    too_long: bool,
    current: Progress,
}

impl Parser {
    /// Takes the next bytes and calls `report` at the end of each block of lines.
    pub fn push(&mut self, bytes: &[u8], mut report: impl FnMut(Progress)) {
        for &byte in bytes {
            if byte != b'\n' {
                self.keep(byte);
                continue;
            }
            if !self.too_long
                && let Some(progress) = self.current.read(&self.line)
            {
                self.current = progress;
                report(progress);
            }
            self.line.clear();
            self.too_long = false;
        }
    }

    fn keep(&mut self, byte: u8) {
        if self.line.len() < LINE_BYTES {
            self.line.push(byte);
        } else {
            self.too_long = true;
        }
    }
}

impl Progress {
    /// Takes one line; a report when it ends a block.
    fn read(&mut self, line: &[u8]) -> Option<Self> {
        let (key, value) = std::str::from_utf8(line).ok()?.split_once('=')?;
        let value = value.trim();
        match key.trim() {
            "frame" => set(&mut self.frame, value.parse().ok()),
            "total_size" => set(&mut self.total_bytes, value.parse().ok()),
            "out_time_us" => {
                let micros: Option<u64> = value.parse().ok();
                set(&mut self.out_secs, micros.map(|micros| micros as f64 / 1e6));
            }
            "speed" => self.speed = speed(value),
            "progress" => {
                self.ended = value == "end";
                return Some(*self);
            }
            _ => {}
        }
        None
    }
}

fn set<T>(slot: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *slot = value;
    }
}

fn speed(value: &str) -> Option<f64> {
    let times: f64 = value.strip_suffix('x')?.trim().parse().ok()?;
    (times.is_finite() && times > 0.0).then_some(times)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn all(pieces: &[&[u8]]) -> Vec<Progress> {
        let (mut parser, mut seen) = (Parser::default(), Vec::new());
        for piece in pieces {
            parser.push(piece, |progress| seen.push(progress));
        }
        seen
    }

    const BLOCK: &[u8] = b"frame=30\nfps=0.00\nstream_0_0_q=-1.0\nbitrate= 666.4kbits/s\n\
        total_size=83524\nout_time_us=1002667\nout_time_ms=1002667\n\
        out_time=00:00:01.002667\ndup_frames=0\ndrop_frames=0\nspeed=5.65x\nprogress=end\n";

    #[test]
    fn a_block_of_lines_is_one_report() {
        let wanted = Progress {
            frame: 30,
            out_secs: 1.002_667,
            total_bytes: 83524,
            speed: Some(5.65),
            ended: true,
        };
        assert_eq!(all(&[BLOCK]), [wanted]);
    }

    #[test]
    fn a_value_that_is_not_known_yet_keeps_the_last_one() {
        let seen = all(&[
            b"frame=7\ntotal_size=9\nout_time_us=2000000\nspeed=2x\nprogress=continue\n",
            b"frame=\ntotal_size=N/A\nout_time_us=-9223372036854775808\nspeed=N/A\nprogress=continue\n",
            b"out_time_us=N/A\nspeed=   0x\nprogress=continue\n",
        ]);
        let last = Progress { frame: 7, out_secs: 2.0, total_bytes: 9, speed: None, ended: false };
        assert_eq!(seen[1..], [last, last]);
        assert!(!seen[1].moved_since(&seen[0]));
    }

    #[test]
    fn a_line_without_end_is_dropped_and_the_next_one_read() {
        let long = vec![b'9'; 1 << 20];
        let mut parser = Parser::default();
        parser.push(b"frame=", |_| panic!("no block has ended"));
        parser.push(&long, |_| panic!("no block has ended"));
        assert!(parser.line.capacity() <= 2 * LINE_BYTES);
        let mut seen = Vec::new();
        parser.push(b"\nframe=2\nprogress=continue\n", |progress| seen.push(progress.frame));
        assert_eq!(seen, [2]);
    }

    proptest! {
        #[test]
        fn any_cut_of_the_bytes_reads_the_same(cuts in prop::collection::vec(0..BLOCK.len(), 0..6)) {
            let mut cuts = cuts;
            cuts.sort_unstable();
            let mut pieces = Vec::new();
            let mut start = 0;
            for cut in cuts {
                pieces.push(&BLOCK[start..cut]);
                start = cut;
            }
            pieces.push(&BLOCK[start..]);
            prop_assert_eq!(all(&pieces), all(&[BLOCK]));
        }

        #[test]
        fn garbage_is_read_without_panic_and_in_bounded_memory(
            bytes in prop::collection::vec(prop_oneof![any::<u8>(), Just(b'\n'), Just(b'=')], 0..4096),
            keys in prop::collection::vec("(frame|out_time_us|total_size|speed|progress)=[-0-9.eNaNinfx/ ]{0,40}\n", 0..20),
        ) {
            let mut parser = Parser::default();
            let mut sane = true;
            for piece in [bytes, keys.concat().into_bytes()] {
                parser.push(&piece, |progress| {
                    sane &= progress.out_secs.is_finite() && progress.out_secs >= 0.0;
                    sane &= progress.speed.is_none_or(|speed| speed.is_finite() && speed > 0.0);
                });
            }
            prop_assert!(sane);
            prop_assert!(parser.line.capacity() <= 2 * LINE_BYTES);
        }
    }
}
