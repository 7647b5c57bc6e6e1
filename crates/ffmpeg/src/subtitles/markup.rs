//! The text of a cue without its markup: what is italic, bold or underlined stays so.

/// How a file marks its text up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Markup {
    SubRip,
    WebVtt,
}

/// A line of a cue.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) spans: Vec<Span>,
}

/// A piece of text of one style, without control characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) text: String,
    pub(super) style: Style,
}

/// How a text is set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Style {
    pub(super) italic: bool,
    pub(super) bold: bool,
    pub(super) underlined: bool,
}

impl Line {
    pub(super) fn chars(&self) -> usize {
        self.spans.iter().map(|span| span.text.chars().count()).sum()
    }

    fn push(&mut self, c: char, style: Style) {
        let c = if c.is_whitespace() { ' ' } else { c };
        if c.is_control() || c == '\u{feff}' {
            return;
        }
        match self.spans.last_mut() {
            Some(last) if last.style == style => last.text.push(c),
            _ => self.spans.push(Span { text: c.into(), style }),
        }
    }
}

impl Markup {
    /// The lines of a text that show something, and whether it says that it belongs to the top.
    pub(super) fn read(self, body: &[&str]) -> (Vec<Line>, bool) {
        let mut reader = Reader { markup: self, style: Style::default(), is_at_top: false };
        let lines: Vec<Line> = body.iter().map(|text| reader.line(text)).collect();
        let shows = |line: &Line| line.spans.iter().any(|span| !span.text.trim().is_empty());
        (lines.into_iter().filter(shows).collect(), reader.is_at_top)
    }
}

struct Reader {
    markup: Markup,
    style: Style,
    is_at_top: bool,
}

impl Reader {
    fn line(&mut self, text: &str) -> Line {
        let mut line = Line::default();
        let mut rest = text.trim();
        while let Some(c) = rest.chars().next() {
            let taken = match c {
                '<' => self.tag(rest),
                '{' => self.overrides(rest),
                '&' if self.markup == Markup::WebVtt => entity(rest).map(|(c, length)| {
                    line.push(c, self.style);
                    length
                }),
                _ => None,
            };
            let length = taken.unwrap_or_else(|| {
                line.push(c, self.style);
                c.len_utf8()
            });
            rest = &rest[length..];
        }
        line
    }

    /// The length of the tag that a text begins with, if it is one.
    fn tag(&mut self, text: &str) -> Option<usize> {
        let length = text.find('>')? + 1;
        let inside = &text[1..length - 1];
        let (name, opens) = match inside.strip_prefix('/') {
            Some(name) => (name, false),
            None => (inside, true),
        };
        let is_tag = name.starts_with(|c: char| c.is_ascii_alphabetic());
        if self.markup == Markup::SubRip && !is_tag {
            return None;
        }
        let end = name.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(name.len());
        match &name[..end].to_ascii_lowercase()[..] {
            "i" | "em" => self.style.italic = opens,
            "b" | "strong" => self.style.bold = opens,
            "u" => self.style.underlined = opens,
            _ => {}
        }
        Some(length)
    }

    /// The length of the SubStation override that a text begins with, if it is one. Players
    /// honour them in SubRip files too; here nothing of them is left but "at the top".
    fn overrides(&mut self, text: &str) -> Option<usize> {
        let inside = text.strip_prefix("{\\")?;
        let length = inside.find('}').map_or(text.len(), |at| at + 3);
        let is_top = ["an7", "an8", "an9"].iter().any(|place| inside.starts_with(place));
        self.is_at_top |= is_top;
        Some(length)
    }
}

/// The character that a text begins with as an entity, and how long that is.
fn entity(text: &str) -> Option<(char, usize)> {
    const NAMED: [(&str, char); 8] = [
        ("amp", '&'),
        ("lt", '<'),
        ("gt", '>'),
        ("quot", '"'),
        ("apos", '\''),
        ("nbsp", '\u{a0}'),
        ("lrm", '\u{200e}'),
        ("rlm", '\u{200f}'),
    ];
    let end = text.bytes().take(12).position(|byte| byte == b';')?;
    let name = text.get(1..end)?;
    let c = match name.strip_prefix('#') {
        Some(number) => {
            let number = match number.strip_prefix(['x', 'X']) {
                Some(digits) => u32::from_str_radix(digits, 16).ok()?,
                None => number.parse().ok()?,
            };
            char::from_u32(number)?
        }
        None => NAMED.iter().find(|(known, _)| *known == name)?.1,
    };
    Some((c, end + 1))
}
