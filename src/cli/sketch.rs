//! `--print-command`: the work as lines for a shell, to read, to learn from, to run by hand.
//!
//! Nothing is made. The input is read, because what is done depends on what it is.

use std::ffi::OsString;
use std::path::Path;

use tokio_util::sync::CancellationToken;

use super::flags::OfKind;
use super::once::{NotMade, OneShot, Source, check_output, options, stopped_by_interrupt};
use super::{CliError, Terminal};
use crate::job::Options;

/// What to sketch.
#[derive(Clone, Copy, Debug)]
pub struct Sketch<'a> {
    /// What would be made.
    pub options: &'a Options,
    /// Of which file.
    pub input: &'a Path,
    /// Where it would go.
    pub output: &'a Path,
    /// Set when nobody waits for it any more.
    pub stop: &'a CancellationToken,
}

/// The commands of a job, each from the program's path to its last argument.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commands {
    /// Run one after the other.
    pub steps: Vec<Vec<OsString>>,
    /// Run when the steps fail or write nothing.
    pub fallback: Vec<Vec<OsString>>,
    /// Whether something is done afterwards that no command does.
    pub is_finished_here: bool,
}

/// Prints what `plan` would run.
///
/// # Errors
///
/// What was typed cannot be meant, the input is no file or not media, or Ctrl-C.
pub async fn run<K: OfKind>(
    args: &OneShot<K>,
    terminal: &Terminal,
    plan: impl AsyncFnOnce(Sketch<'_>) -> Result<Commands, NotMade>,
) -> Result<(), CliError> {
    let options = options(args)?;
    let Source::File(input) = Source::typed(&args.input)? else {
        return Err(CliError::usage("a command can be printed for a file only")
            .hint("ffmpeg is never given a URL: download it first"));
    };
    if options.subtitle_url().is_some() {
        return Err(CliError::usage("no command can be printed for subtitles of a URL")
            .hint("ffmpeg is never given a URL: leave --subtitle-url out"));
    }
    check_output(&options, &args.output, args.force)?;
    let stop = CancellationToken::new();
    let sketch = Sketch { options: &options, input: &input, output: &args.output, stop: &stop };
    let commands = stopped_by_interrupt(plan(sketch), &stop).await?;
    terminal.line(&text(&commands)?)
}

/// A shell can run the lines as they are: what may follow is a comment.
fn text(commands: &Commands) -> Result<String, CliError> {
    let mut lines = commands.steps.iter().map(|step| line(step)).collect::<Result<Vec<_>, _>>()?;
    if !commands.fallback.is_empty() {
        lines.push("# when that fails or writes nothing:".to_owned());
        for step in &commands.fallback {
            lines.push(format!("# {}", line(step)?));
        }
    }
    if commands.is_finished_here {
        lines.push("# reelway itself then writes the texts that belong to it".to_owned());
    }
    Ok(lines.join("\n"))
}

fn line(step: &[OsString]) -> Result<String, CliError> {
    let unprintable = || CliError::failed("the command cannot be printed");
    let words = step.iter().map(|word| word.to_str()).collect::<Option<Vec<_>>>();
    let words = words.ok_or_else(|| {
        unprintable().hint("a name in it is not UTF-8: give the file another name")
    })?;
    shlex::try_join(words).map_err(|error| unprintable().because(&error))
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStringExt as _;

    use super::*;

    fn step(words: &[&str]) -> Vec<OsString> {
        words.iter().map(Into::into).collect()
    }

    #[test]
    fn a_shell_reads_what_was_meant() {
        let commands = Commands {
            steps: vec![step(&["/usr/bin/ffmpeg", "-i", "file:/my films/it's $HOME.mp4"])],
            fallback: vec![step(&["/usr/bin/ffmpeg", "-filter_complex", "[0:0]scale=2:2[out]"])],
            is_finished_here: false,
        };
        let text = text(&commands).expect("text");
        insta::assert_snapshot!(text, @r#"
        /usr/bin/ffmpeg -i "file:/my films/it's "'$HOME.mp4'
        # when that fails or writes nothing:
        # /usr/bin/ffmpeg -filter_complex '[0:0]scale=2:2[out]'
        "#);
        let first = text.lines().next().expect("a line");
        let words = shlex::split(first).expect("a shell's words");
        assert_eq!(step(&words.iter().map(String::as_str).collect::<Vec<_>>()), commands.steps[0]);
    }

    #[test]
    fn a_name_that_is_no_text_is_told() {
        let steps = vec![vec![OsString::from_vec(vec![b'a', 0xff])]];
        let error = text(&Commands { steps, fallback: vec![], is_finished_here: true })
            .expect_err("no text");
        assert!(error.to_string().contains("UTF-8"), "{error}");
    }
}
