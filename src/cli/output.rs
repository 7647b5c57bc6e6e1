//! How sizes, times and tables are written for people: values in, text out, nothing printed.
//!
//! Whatever came from elsewhere goes through [`clean`], so that no file name, error text or URL
//! can move the cursor of the terminal that shows it.

use console::{measure_text_width, pad_str, truncate_str};

/// The text without control characters, which a terminal would obey.
#[must_use]
pub(super) fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\t' { '\u{fffd}' } else { c }).collect()
}

/// A size in bytes: `512 B`, `1.2 MB`.
#[must_use]
pub(super) fn size(bytes: u64) -> String {
    let units = ["kB", "MB", "GB", "TB"];
    if bytes < 1000 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64 / 1000.0;
    let mut unit = 0;
    // 999.95 would be rounded to 1000.0.
    while value >= 999.95 && unit + 1 < units.len() {
        value /= 1000.0;
        unit += 1;
    }
    format!("{value:.1} {}", units[unit])
}

/// How long something took: `40 ms`, `3.2 s`, `4 min 05 s`, `2 h 03 min`.
#[must_use]
pub(super) fn span(millis: i64) -> String {
    let millis = millis.max(0);
    let secs = millis / 1000;
    match secs {
        0 => format!("{millis} ms"),
        1..60 => format!("{}.{} s", secs, millis % 1000 / 100),
        60..3600 => format!("{} min {:02} s", secs / 60, secs % 60),
        _ => format!("{} h {:02} min", secs / 3600, secs % 3600 / 60),
    }
}

/// How long ago something was, in one unit: `now`, `12 s`, `5 min`, `3 h`, `2 d`.
#[must_use]
pub(super) fn age(millis: i64) -> String {
    let secs = millis.max(0) / 1000;
    match secs {
        0 => "now".to_owned(),
        1..60 => format!("{secs} s"),
        60..3600 => format!("{} min", secs / 60),
        3600..86_400 => format!("{} h", secs / 3600),
        _ => format!("{} d", secs / 86_400),
    }
}

/// A speed: how much longer something plays than its making took.
#[must_use]
pub(super) fn times_real(plays_secs: f64, took_secs: f64) -> String {
    format!("{:.1} x real time", plays_secs / took_secs)
}

/// The time of day in UTC: `09:05:07Z`.
#[must_use]
pub(super) fn time_of_day(millis: i64) -> String {
    let secs = millis.div_euclid(1000).rem_euclid(86_400);
    format!("{:02}:{:02}:{:02}Z", secs / 3600, secs % 3600 / 60, secs % 60)
}

/// Rows in columns as wide as their widest cell; the last column is cut so that no line is
/// longer than `width` characters.
///
/// Cells may hold colour; the first row is the heading.
#[must_use]
pub(super) fn table<const N: usize>(rows: &[[String; N]], width: usize) -> String {
    let mut widths = [0; N];
    for row in rows {
        for (column, cell) in row.iter().enumerate() {
            widths[column] = widths[column].max(measure_text_width(cell));
        }
    }
    let lines = rows.iter().map(|row| line(row, &widths, width));
    lines.collect::<Vec<_>>().join("\n")
}

fn line<const N: usize>(row: &[String; N], widths: &[usize; N], width: usize) -> String {
    let mut line = String::new();
    for (column, cell) in row.iter().enumerate() {
        let padded = pad_str(cell, widths[column], console::Alignment::Left, None);
        line.push_str(&padded);
        line.push_str("  ");
    }
    truncate_str(line.trim_end(), width, "…").into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_times_have_at_most_two_units() {
        let sizes = [0, 999, 1000, 1_234_567, 999_999, 7_000_000_000, u64::MAX].map(size);
        assert_eq!(
            sizes,
            ["0 B", "999 B", "1.0 kB", "1.2 MB", "1.0 MB", "7.0 GB", "18446744.1 TB"]
        );
        let spans = [-5, 40, 3_250, 245_000, 7_380_000].map(span);
        assert_eq!(spans, ["0 ms", "40 ms", "3.2 s", "4 min 05 s", "2 h 03 min"]);
        let ages = [10, 12_000, 300_000, 10_800_000, 172_800_000].map(age);
        assert_eq!(ages, ["now", "12 s", "5 min", "3 h", "2 d"]);
        assert_eq!(time_of_day(32_707_000), "09:05:07Z");
    }

    #[test]
    fn a_table_lines_up_and_is_cut_to_the_width() {
        let row = |a: &str, b: &str| [a.to_owned(), b.to_owned()];
        let rows = [row("ID", "INPUT"), row("job_1", "https://example.com/a-long-name.mp4")];
        assert_eq!(table(&rows, 20), "ID     INPUT\njob_1  https://exam…");
    }

    #[test]
    fn nothing_foreign_reaches_the_terminal_as_a_command() {
        assert_eq!(
            clean("a\u{1b}[31mb\r\n\u{9b}c\u{7f}"),
            "a\u{fffd}[31mb\u{fffd}\u{fffd}\u{fffd}c\u{fffd}"
        );
    }
}
