//! Where words go: data to stdout, talk to stderr.
//!
//! A terminal gets tables and progress bars, a pipe gets JSON lines. Colour and bars end where
//! `NO_COLOR` is set or the stream is no terminal; both are `console`'s and `indicatif`'s rules.

use std::io::{self, IsTerminal as _, Write as _};
use std::time::Duration;

use console::Term;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;

use super::CliError;

/// The two streams of a command, and who is at their other ends.
#[derive(Clone, Copy, Debug)]
pub struct Terminal {
    stdout_is_terminal: bool,
}

impl Terminal {
    /// The process's own streams.
    #[must_use]
    pub fn detect() -> Self {
        Self { stdout_is_terminal: io::stdout().is_terminal() }
    }

    /// Whether a person reads the data; else it is a program, which gets JSON lines.
    #[must_use]
    pub const fn is_read_by_a_person(&self) -> bool {
        self.stdout_is_terminal
    }

    /// How many characters a line of the data may have.
    #[must_use]
    pub fn width(&self) -> usize {
        Term::stdout().size_checked().map_or(80, |(_, columns)| usize::from(columns).max(20))
    }

    /// Writes text and a line's end to stdout.
    ///
    /// # Errors
    ///
    /// The reader is gone, or the stream cannot be written to.
    pub fn line(&self, text: &str) -> Result<(), CliError> {
        let mut out = io::stdout().lock();
        let written = writeln!(out, "{text}").and_then(|()| out.flush());
        written.map_err(|error| match error.kind() {
            io::ErrorKind::BrokenPipe => CliError::reader_gone(),
            _ => CliError::failed("cannot write the output").because(&error),
        })
    }

    /// Writes a value as one line of JSON to stdout.
    ///
    /// # Errors
    ///
    /// See [`Terminal::line`].
    pub fn json(&self, value: &impl Serialize) -> Result<(), CliError> {
        let text = serde_json::to_string(value)
            .map_err(|error| CliError::failed("cannot write the output").because(&error))?;
        self.line(&text)
    }

    /// Talks on stderr. Talk that nobody hears is no error.
    pub fn say(&self, text: &str) {
        let _unheard = writeln!(io::stderr().lock(), "{text}");
    }

    /// Tells what went wrong, on stderr.
    pub fn error(&self, error: &CliError) {
        self.say(&format!("error: {error}"));
    }

    /// Progress bars on stderr; they stay invisible when it is no terminal.
    #[must_use]
    pub fn bars(&self) -> Bars {
        Bars(MultiProgress::with_draw_target(ProgressDrawTarget::stderr()))
    }
}

/// Progress bars, one below the other.
#[derive(Clone, Debug)]
pub struct Bars(MultiProgress);

impl Bars {
    /// A bar called `name`.
    #[must_use]
    pub fn add(&self, name: &str) -> Bar {
        let style = ProgressStyle::with_template("{prefix}  {bar:30.cyan} {pos:>3} %  {msg}")
            .unwrap_or_else(|_| ProgressStyle::default_bar());
        let bar = self.0.add(ProgressBar::new(100).with_style(style));
        bar.set_prefix(name.to_owned());
        bar.enable_steady_tick(Duration::from_millis(500));
        Bar(bar)
    }
}

/// One progress bar; gone from the screen when it is dropped.
#[derive(Debug)]
pub struct Bar(ProgressBar);

impl Bar {
    /// Shows how far it is in per cent, 0 to 100, and what is happening.
    pub fn show(&self, percent: f32, what: &str) {
        self.0.set_position(percent.clamp(0.0, 100.0) as u64);
        if self.0.message() != what {
            self.0.set_message(what.to_owned());
        }
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
