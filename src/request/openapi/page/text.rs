//! Text into HTML: nothing of it is ever taken for markup.

/// The text, for between tags and inside quoted attributes.
pub(super) fn escaped(text: &str) -> String {
    let mut html = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&quot;"),
            '\'' => html.push_str("&#39;"),
            c => html.push(c),
        }
    }
    html
}

/// One paragraph's text, with what stands between backquotes as code.
pub(super) fn inline(text: &str) -> String {
    let parts = text.split('`').enumerate();
    parts
        .map(|(n, part)| match n % 2 {
            0 => escaped(part),
            _ => format!("<code>{}</code>", escaped(part)),
        })
        .collect()
}

/// Paragraphs, parted by empty lines.
pub(super) fn prose(text: &str) -> String {
    let paragraphs = text.split("\n\n").map(str::trim).filter(|paragraph| !paragraph.is_empty());
    paragraphs
        .flat_map(|paragraph| ["<p>".to_owned(), inline(paragraph), "</p>\n".to_owned()])
        .collect()
}

/// A name as an anchor.
pub(super) fn slug(name: &str) -> String {
    name.to_lowercase().replace(' ', "-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_text_becomes_markup() {
        assert_eq!(
            inline("a <b> & `\"<c>'`"),
            "a &lt;b&gt; &amp; <code>&quot;&lt;c&gt;&#39;</code>"
        );
        assert_eq!(prose("one\n\n two\nthree "), "<p>one</p>\n<p>two\nthree</p>\n");
    }
}
