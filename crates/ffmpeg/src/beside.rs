//! Programs beside ffmpeg that make a picture of a picture: in the same box, under the same limits.

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitStatus;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::child::{Variable, spawn};
use crate::tail::Tail;
use crate::watch::{End, Heard, Watch};
use crate::{Cause, RunError, Scope, Tools};

/// One run of such a program.
pub(crate) struct Beside<'a> {
    /// What it is called.
    pub(crate) name: &'static str,
    /// Where it is.
    pub(crate) program: &'a Path,
    /// What it is told.
    pub(crate) argv: &'a [OsString],
    /// What it finds in its environment.
    pub(crate) environment: Vec<Variable>,
    /// The one file that it reads, by its whole path.
    pub(crate) input: &'a Path,
    /// The one folder that it writes into.
    pub(crate) folder: &'a Path,
    /// How long it may take, where the limits do not say less.
    pub(crate) wall: Duration,
}

impl Tools {
    /// Runs it to its end, however it ends; what it said comes back with that.
    pub(crate) async fn run_beside(
        &self,
        run: Beside<'_>,
        stop: &CancellationToken,
    ) -> Result<(ExitStatus, Tail), RunError> {
        let Beside { name, program, argv, environment, input, folder, wall } = run;
        let limits = self.limits();
        let scope = Scope {
            read: vec![input.to_owned()],
            write: vec![folder.to_owned()],
            ..Scope::default()
        };
        let containment =
            self.containment(scope, limits.memory_bytes).with_environment(environment);
        let (child, pipes) = spawn(program, argv, folder, &containment)
            .map_err(|source| RunError::Missing { program: name, source })?;
        let watch = Watch {
            wall: wall.min(limits.wall),
            stall: None,
            grace: limits.grace,
            processor: None,
            memory_bytes: limits.memory_bytes,
            waiting: &[],
            stop,
        };
        let mut tail = Tail::new(argv);
        let end = watch.over(child, pipes, &mut tail, |_| Heard::Noise).await;
        let refused = |cause, log| Err(RunError::Refused { cause, log });
        match end.map_err(RunError::Lost)? {
            End::Exited(status) => Ok((status, tail)),
            End::Stopped => Err(RunError::Stopped),
            End::Stalled | End::TimedOut | End::OutOfProcessor => {
                Err(RunError::TimedOut { secs: watch.wall.as_secs(), log: tail.log() })
            }
            End::OutOfMemory => refused(Cause::OutOfMemory, tail.log()),
            End::TooMuch => refused(Cause::Unknown, tail.log()),
        }
    }
}
