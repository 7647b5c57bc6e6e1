//! How a command ends badly: in words, with advice on a line of its own and an exit code.
//!
//! Every command returns a [`CliError`]; [`crate::cli::end`] is the one place that shows it.

use std::error::Error;
use std::fmt;
use std::process::ExitCode;

use super::output::clean;
use crate::job::OptionError;
use crate::task::Failure;

/// How a command that did not do what was asked ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// The job or the command failed: 1.
    Failed,
    /// What was typed cannot be meant: 2, as from the parser of the command line.
    Usage,
    /// Stopped by Ctrl-C or a signal: 130, as shells have it.
    Interrupted,
    /// Whoever read the output has read enough: 0, and nothing is said.
    ReaderGone,
}

impl Exit {
    /// The process's exit code.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Interrupted => 130,
            Self::ReaderGone => 0,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// Why a command did not do what was asked, in words for the person who typed it.
#[derive(Debug, PartialEq, Eq)]
pub struct CliError {
    what: String,
    details: Vec<String>,
    hint: Option<String>,
    exit: Exit,
}

impl CliError {
    /// The job or the command failed.
    pub fn failed(what: impl Into<String>) -> Self {
        Self { what: what.into(), details: Vec::new(), hint: None, exit: Exit::Failed }
    }

    /// What was typed cannot be meant.
    pub fn usage(what: impl Into<String>) -> Self {
        Self { exit: Exit::Usage, ..Self::failed(what) }
    }

    /// Stopped by Ctrl-C.
    #[must_use]
    pub fn interrupted() -> Self {
        Self { exit: Exit::Interrupted, ..Self::failed("stopped") }
    }

    /// Whoever read the output has read enough.
    pub(super) fn reader_gone() -> Self {
        Self { exit: Exit::ReaderGone, ..Self::failed("nobody reads the output") }
    }

    /// The same with the causes of `error` after a colon.
    #[must_use]
    pub fn because(mut self, error: &dyn Error) -> Self {
        let mut cause = Some(error);
        while let Some(error) = cause {
            let text = error.to_string();
            // Some libraries repeat their source's words in their own.
            if !self.what.contains(&text) {
                self.what = format!("{}: {text}", self.what);
            }
            cause = error.source();
        }
        self
    }

    /// The same with a line of detail below.
    #[must_use]
    pub fn detail(mut self, line: impl Into<String>) -> Self {
        self.details.push(line.into());
        self
    }

    /// The same with advice.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// How the process ends.
    #[must_use]
    pub const fn exit(&self) -> Exit {
        self.exit
    }
}

/// All lines, without colour: what, the details, the hint.
impl fmt::Display for CliError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", clean(&self.what))?;
        for line in &self.details {
            write!(f, "\n  {}", clean(line))?;
        }
        match &self.hint {
            Some(hint) => write!(f, "\nhint: {}", clean(hint)),
            None => Ok(()),
        }
    }
}

impl Error for CliError {}

impl From<OptionError> for CliError {
    fn from(error: OptionError) -> Self {
        let refused = Self::usage(error.message);
        match error.hint {
            Some(hint) => refused.hint(hint),
            None => refused,
        }
    }
}

impl From<Failure> for CliError {
    fn from(failure: Failure) -> Self {
        let mut failed = Self::failed(failure.message);
        failed.details = failure.log;
        match failure.hint {
            Some(hint) => failed.hint(hint),
            None => failed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::ErrorKind;

    #[test]
    fn an_error_says_what_and_why_and_the_hint_has_its_own_line() {
        let missing = std::io::Error::new(std::io::ErrorKind::NotFound, "no such file");
        let error = CliError::usage("cannot read clip.mp4").because(&missing).hint("look again");
        assert_eq!(error.to_string(), "cannot read clip.mp4: no such file\nhint: look again");
        assert_eq!(error.exit().code(), 2);
    }

    #[test]
    fn a_failure_brings_the_last_lines_of_the_tool_but_no_terminal_codes() {
        let failure = Failure::new(ErrorKind::InputCorrupt, "the file is broken")
            .log(vec!["moov atom \u{1b}[2Jnot found".to_owned()]);
        assert_eq!(
            CliError::from(failure).to_string(),
            "the file is broken\n  moov atom \u{fffd}[2Jnot found"
        );
    }
}
