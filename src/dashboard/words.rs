//! Times, lengths and sizes as a person reads them. Pure.

use std::time::{Duration, SystemTime};

use crate::clock::Timestamp;

/// A moment: for people, for programs, and how long ago it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct When {
    /// `2026-11-25T17:28:47Z`.
    pub(super) iso: String,
    /// `2026-11-25 17:28:47 UTC`.
    pub(super) full: String,
    /// `3 min ago`, `in 5 s`.
    pub(super) told: String,
}

impl When {
    pub(super) fn of(at: Timestamp, now: Timestamp) -> Self {
        let millis = at.millis().max(0).unsigned_abs();
        let time = SystemTime::UNIX_EPOCH + Duration::from_millis(millis);
        let iso = humantime::format_rfc3339_seconds(time).to_string();
        let full = iso.replace('T', " ").replace('Z', " UTC");
        let told = if at > now {
            format!("in {}", rough(at.since(now)))
        } else {
            match now.since(at) {
                ago if ago < Duration::from_secs(2) => "just now".to_owned(),
                ago => format!("{} ago", rough(ago)),
            }
        };
        Self { iso, full, told }
    }
}

/// One unit, rounded down: `12 s`, `3 min`, `2 h`, `5 d`.
pub(super) fn rough(span: Duration) -> String {
    match span.as_secs() {
        secs @ 0..60 => format!("{secs} s"),
        secs @ 60..3_600 => format!("{} min", secs / 60),
        secs @ 3_600..86_400 => format!("{} h", secs / 3_600),
        secs => format!("{} d", secs / 86_400),
    }
}

/// Two units where that helps: `0.4 s`, `12.3 s`, `3 min 05 s`, `2 h 10 min`.
pub(super) fn span(span: Duration) -> String {
    let secs = span.as_secs();
    match secs {
        0 if span.as_millis() < 100 => format!("{} ms", span.as_millis()),
        0..60 => format!("{:.1} s", span.as_secs_f64()),
        60..3_600 => format!("{} min {:02} s", secs / 60, secs % 60),
        3_600..86_400 => format!("{} h {:02} min", secs / 3_600, secs % 3_600 / 60),
        _ => format!("{} d {} h", secs / 86_400, secs % 86_400 / 3_600),
    }
}

/// A length of media: `0:07`, `3:05`, `1:02:03`.
pub(super) fn clock(secs: f64) -> String {
    let whole = secs.max(0.0).round() as u64;
    let (hours, minutes, secs) = (whole / 3_600, whole % 3_600 / 60, whole % 60);
    if hours > 0 {
        format!("{hours}:{minutes:02}:{secs:02}")
    } else {
        format!("{minutes}:{secs:02}")
    }
}

/// A size: `812 B`, `4.2 MB`.
pub(super) fn bytes(count: u64) -> String {
    const UNITS: [&str; 5] = ["B", "kB", "MB", "GB", "TB"];
    let (mut size, mut unit) = (count as f64, 0);
    while size >= 999.5 && unit + 1 < UNITS.len() {
        size /= 1000.0;
        unit += 1;
    }
    let name = UNITS[unit];
    if unit == 0 || size >= 99.95 {
        format!("{size:.0} {name}")
    } else {
        format!("{size:.1} {name}")
    }
}

/// Bits a second: `1.8 Mbit/s`.
pub(super) fn bitrate(bits: u64) -> String {
    if bits >= 1_000_000 {
        format!("{:.1} Mbit/s", bits as f64 / 1e6)
    } else {
        format!("{:.0} kbit/s", bits as f64 / 1e3)
    }
}

/// A number with its thousands apart: `12,345`.
pub(super) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut told = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            told.push(',');
        }
        told.push(digit);
    }
    told
}

/// What a URL is of, for the eye: the last part of its path, and where that is.
pub(super) fn name_and_place(url: &str) -> (String, String) {
    let bare = url.split(['?', '#']).next().unwrap_or(url);
    let (scheme, rest) = bare.split_once("://").unwrap_or(("", bare));
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let place =
        if scheme.eq_ignore_ascii_case("s3") { format!("s3://{host}") } else { host.to_owned() };
    let last = path.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
    let name = percent_encoding::percent_decode_str(last).decode_utf8_lossy();
    let name: String = name.chars().filter(|c| !c.is_control()).collect();
    if name.is_empty() { (place.clone(), place) } else { (name, place) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    #[test]
    fn a_moment_is_told_from_now() {
        let now = at(1_764_000_000_000);
        for (millis, told) in [
            (0, "just now"),
            (1_999, "just now"),
            (12_000, "12 s ago"),
            (59 * 60_000, "59 min ago"),
            (26 * 3_600_000, "1 d ago"),
            (-5_000, "in 5 s"),
        ] {
            assert_eq!(When::of(at(now.millis() - millis), now).told, told);
        }
        let when = When::of(now, now);
        assert_eq!((&*when.iso, &*when.full), ("2025-11-24T16:00:00Z", "2025-11-24 16:00:00 UTC"));
    }

    #[test]
    fn lengths_and_sizes_are_short() {
        for (millis, told) in
            [(40, "40 ms"), (400, "0.4 s"), (12_340, "12.3 s"), (185_000, "3 min 05 s")]
        {
            assert_eq!(span(Duration::from_millis(millis)), told);
        }
        assert_eq!((clock(6.6), clock(3_723.0)), ("0:07".to_owned(), "1:02:03".to_owned()));
        for (size, told) in
            [(812, "812 B"), (4_200_000, "4.2 MB"), (123_456_789, "123 MB"), (999_999, "1.0 MB")]
        {
            assert_eq!(bytes(size), told);
        }
        assert_eq!((count(999), count(1_234_567)), ("999".to_owned(), "1,234,567".to_owned()));
    }

    #[test]
    fn a_url_is_told_by_its_file_and_its_host() {
        for (url, name, place) in [
            ("https://cdn.example.com/a/My%20Film.mov?token=1", "My Film.mov", "cdn.example.com"),
            ("https://cdn.example.com/", "cdn.example.com", "cdn.example.com"),
            ("s3://media/in/a.mp4", "a.mp4", "s3://media"),
            ("http://h:8080/x/%3Cb%3E", "<b>", "h:8080"),
        ] {
            assert_eq!(name_and_place(url), (name.to_owned(), place.to_owned()), "{url}");
        }
    }
}
