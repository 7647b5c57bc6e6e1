//! What a process said on standard error, kept short and made safe to show.
//!
//! Bytes come in as they arrive; cleaned lines go out. Standard error quotes the file (titles,
//! names of tracks) and our own paths, so it is untrusted twice: paths become file names,
//! control and text-direction characters go, long lines are cut, repetitions are folded, and
//! only the first and the last [`KEPT`] lines are held, whatever arrives.

use std::collections::VecDeque;
use std::ffi::OsString;

use crate::Cause;

/// Lines kept from the start, and from the end. The cause is often the first thing said.
const KEPT: usize = 32;

/// The longest line that is read in bytes; the rest of it is dropped.
const LINE_BYTES: usize = 1024;

/// The longest line that is shown in characters.
const SHOWN_CHARS: usize = 300;

/// The most lines that are shown.
const SHOWN_LINES: usize = 20;

/// The last bytes that are kept as they came, for a report that is read from them.
const LAST_BYTES: usize = 4 << 10;

/// The first and the last lines that a process said.
#[derive(Debug)]
pub(crate) struct Tail {
    raw: Vec<u8>,
    secrets: Vec<(String, String)>,
    line: Vec<u8>,
    first: Vec<Line>,
    last: VecDeque<Line>,
}

#[derive(Debug)]
struct Line {
    text: String,
    warning: bool,
    times: u32,
}

impl Tail {
    /// For a process with these arguments, whose paths are not to be shown.
    pub(crate) fn new(argv: &[OsString]) -> Self {
        let mut secrets: Vec<_> = argv.iter().filter_map(path_and_name).collect();
        secrets.sort_by_key(|(path, _)| std::cmp::Reverse(path.len()));
        let (raw, line, first, last) = (Vec::new(), Vec::new(), Vec::new(), VecDeque::new());
        Self { raw, secrets, line, first, last }
    }

    /// Takes the next bytes.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.raw.extend_from_slice(bytes);
        if self.raw.len() > 2 * LAST_BYTES {
            self.raw.drain(..self.raw.len() - LAST_BYTES);
        }
        for &byte in bytes {
            match byte {
                b'\n' | b'\r' => self.flush(),
                _ if self.line.len() < LINE_BYTES => self.line.push(byte),
                _ => {}
            }
        }
    }

    /// Takes what was said without a line end as a line.
    pub(crate) fn flush(&mut self) {
        let raw = String::from_utf8_lossy(&self.line).into_owned();
        self.line.clear();
        if let Some(line) = self.clean(&raw) {
            self.keep(line);
        }
    }

    /// The last bytes as they came; never to be shown.
    pub(crate) fn last_bytes(&self) -> &[u8] {
        &self.raw[self.raw.len().saturating_sub(LAST_BYTES)..]
    }

    /// Why the process gave up, as far as it said so.
    pub(crate) fn cause(&self) -> Cause {
        match Cause::of(self.texts(false)) {
            Cause::Unknown => Cause::of(self.texts(true)),
            cause => cause,
        }
    }

    /// Whether any of these was said.
    pub(crate) fn says_any(&self, sayings: &[&str]) -> bool {
        self.lines().any(|line| sayings.iter().any(|saying| line.text.contains(saying)))
    }

    /// What stands behind `saying`, wherever it was said.
    pub(crate) fn after<'a>(&'a self, saying: &'a str) -> impl Iterator<Item = &'a str> {
        self.lines().filter_map(move |line| Some(line.text.split_once(saying)?.1))
    }

    /// The last lines of weight; the last warnings when there are none.
    pub(crate) fn log(&self) -> Vec<String> {
        let any_error = self.lines().any(|line| !line.warning);
        let lines: Vec<_> = self.lines().filter(|line| line.warning != any_error).collect();
        let skipped = lines.len().saturating_sub(SHOWN_LINES);
        lines[skipped..].iter().map(|line| line.shown()).collect()
    }

    fn texts(&self, warning: bool) -> impl Iterator<Item = &str> + Clone {
        self.first
            .iter()
            .chain(&self.last)
            .filter(move |line| line.warning == warning)
            .map(|line| line.text.as_str())
    }

    fn lines(&self) -> impl Iterator<Item = &Line> {
        self.first.iter().chain(&self.last)
    }

    fn keep(&mut self, line: Line) {
        let before = self.last.back_mut().or(self.first.last_mut());
        if let Some(before) = before.filter(|before| before.text == line.text) {
            before.times = before.times.saturating_add(1);
        } else if self.first.len() < KEPT {
            self.first.push(line);
        } else {
            if self.last.len() == KEPT {
                self.last.pop_front();
            }
            self.last.push_back(line);
        }
    }

    fn clean(&self, raw: &str) -> Option<Line> {
        let (text, warning) = without_tags(raw);
        let mut text: String = text.chars().filter(|&c| is_plain(c)).collect();
        for (path, name) in &self.secrets {
            text = text.replace(&format!("file:{path}"), name);
            // Taking one out may put another together; each round is shorter than the last.
            while text.contains(path) {
                text = text.replace(path, name);
            }
        }
        let text = without_folders(&text);
        let text = text.trim();
        let said = !text.is_empty() && !text.starts_with("Last message repeated");
        said.then(|| Line { text: cut(text), warning, times: 1 })
    }
}

impl Line {
    fn shown(&self) -> String {
        match self.times {
            1 => self.text.clone(),
            times => format!("{} ({times} times)", self.text),
        }
    }
}

/// A path among the arguments, and what is shown instead.
fn path_and_name(argument: &OsString) -> Option<(String, String)> {
    let text = argument.to_string_lossy();
    if text.starts_with("http://127.0.0.1:") {
        // Its path is a secret.
        return Some((text.into_owned(), "input".to_owned()));
    }
    let path = text.strip_prefix("file:").unwrap_or(&text);
    let name = path.starts_with('/').then(|| path.rsplit_once('/')).flatten()?.1;
    (!name.is_empty()).then(|| (path.to_owned(), name.to_owned()))
}

/// Takes out `[warning]`, and the address in `[mov @ 0x55aa]`; tells whether it is less than an
/// error.
fn without_tags(raw: &str) -> (String, bool) {
    let mut text = raw.to_owned();
    let mut warning = false;
    for (tag, less) in [
        ("[panic] ", false),
        ("[fatal] ", false),
        ("[error] ", false),
        ("[warning] ", true),
        ("[info] ", true),
    ] {
        if let Some(at) = text.find(tag) {
            text.replace_range(at..at + tag.len(), "");
            warning = less;
            break;
        }
    }
    while let Some(at) = text.find(" @ 0x") {
        let digits = text[at + 5..].find(|c: char| !c.is_ascii_hexdigit());
        let end = digits.map_or(text.len(), |digits| at + 5 + digits);
        text.replace_range(at..end, "");
    }
    (text, warning)
}

/// Whether a character shows as itself: no control, no direction mark, no invisible one.
fn is_plain(c: char) -> bool {
    !c.is_control()
        && !matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// Every absolute path becomes its last part.
fn without_folders(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('/') {
        let (before, path) = rest.split_at(at);
        let before = before.strip_suffix("file:").unwrap_or(before);
        let starts = before.len() < at
            || before.chars().next_back().or(out.chars().next_back()).is_none_or(opens);
        let end = path.find(closes).unwrap_or(path.len());
        let token = &path[..end];
        out.push_str(before);
        match token.rsplit_once('/') {
            Some((_, name)) if starts && token.len() > 1 => out.push_str(name),
            _ => out.push_str(token),
        }
        rest = &path[end..];
    }
    out + rest
}

fn opens(c: char) -> bool {
    c.is_whitespace() || "'\"=([,;<|".contains(c)
}

fn closes(c: char) -> bool {
    c.is_whitespace() || "'\"),;]>|".contains(c)
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(SHOWN_CHARS) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn log(argv: &[&str], said: &[u8]) -> Vec<String> {
        let argv: Vec<OsString> = argv.iter().map(OsString::from).collect();
        let mut tail = Tail::new(&argv);
        tail.push(said);
        tail.flush();
        tail.log()
    }

    #[test]
    fn paths_of_ours_become_file_names() {
        let argv = ["-i", "file:/scratch/my job/in/media", "/scratch/my job/out/o.mp4"];
        let said = b"file:/scratch/my job/in/media: Invalid data found when processing input\n\
            Error writing trailer of /scratch/my job/out/o.mp4: No space left on device\n\
            [Parsed_subtitles_0 @ 0x55] Unable to open '/scratch/other/in.srt', 24/1 fps\n\
            [http] http://example.com/a/b: refused file:/etc/passwd\n";
        assert_eq!(
            log(&argv, said),
            [
                "media: Invalid data found when processing input",
                "Error writing trailer of o.mp4: No space left on device",
                "[Parsed_subtitles_0] Unable to open 'in.srt', 24/1 fps",
                "[http] http://example.com/a/b: refused passwd",
            ]
        );
    }

    #[test]
    fn errors_are_shown_and_warnings_only_when_there_are_none() {
        let warnings = b"[mov @ 0x1] [warning] odd\n[warning] odder\n";
        assert_eq!(log(&[], warnings), ["[mov] odd", "odder"]);
        let both = b"[mov @ 0x1] [warning] odd\n[mov @ 0x1] [error] bad\n";
        assert_eq!(log(&[], both), ["[mov] bad"]);
    }

    #[test]
    fn what_hides_or_repeats_is_taken_out() {
        let said = "red \u{1b}[31malert\u{202e}txt\n    Last message repeated 3 times\n\n\
            same\nsame\nsame\n"
            .as_bytes();
        assert_eq!(log(&[], said), ["red [31malerttxt", "same (3 times)"]);
    }

    #[test]
    fn a_flood_keeps_the_first_and_the_last_lines_and_the_cause() {
        let mut tail = Tail::new(&[]);
        tail.push(b"[error] moov atom not found\n");
        for number in 0..100_000 {
            tail.push(format!("[error] line {number}\n").as_bytes());
        }
        tail.push(&vec![b'x'; 1 << 20]);
        tail.flush();
        let log = tail.log();
        assert_eq!(tail.cause(), Cause::Corrupt);
        assert_eq!((log.len(), log[0].as_str()), (SHOWN_LINES, "line 99981"));
        assert_eq!(log[SHOWN_LINES - 1].chars().count(), SHOWN_CHARS + 1);
        assert!(tail.first.len() + tail.last.len() <= 2 * KEPT);
        assert!(tail.line.capacity() <= 2 * LINE_BYTES);
        assert_eq!(tail.last_bytes(), vec![b'x'; LAST_BYTES]);
        assert!(tail.raw.len() <= 2 * LAST_BYTES);
    }

    proptest! {
        #[test]
        fn nothing_that_is_said_shows_a_folder_or_a_control_character(
            said in "([a-z '=:(/@]|\\[error\\] |/scratch/job/|file:|\\PC|[\\x00-\\x1f]){0,80}",
        ) {
            let shown = log(&["/scratch/job/in"], said.as_bytes()).join("");
            prop_assert!(!shown.contains("/scratch/job/in"), "{}", shown);
            prop_assert!(shown.chars().all(is_plain), "{:?}", shown);
        }
    }
}
