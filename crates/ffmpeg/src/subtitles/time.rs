//! When a cue is shown: `00:01:02,500 --> 00:01:04,000` with whatever follows.

/// What stands between the two times, and nowhere else in a file.
pub(super) const ARROW: &str = "-->";

/// When and where a cue is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Timing {
    pub(super) start_ms: u64,
    pub(super) end_ms: u64,
    pub(super) is_at_top: bool,
}

/// Reads a line with an arrow.
pub(super) fn timing(line: &str) -> Option<Timing> {
    let (start, rest) = line.split_once(ARROW)?;
    let mut rest = rest.split_whitespace();
    let (start_ms, end_ms) = (millis(start.trim())?, millis(rest.next()?)?);
    Some(Timing { start_ms, end_ms, is_at_top: rest.any(is_top) })
}

/// WebVTT's `line:0` and `line:10%`; a negative number counts from below.
fn is_top(setting: &str) -> bool {
    let Some(value) = setting.strip_prefix("line:") else { return false };
    let value = value.split(',').next().unwrap_or(value);
    match value.strip_suffix('%') {
        Some(share) => share.parse().is_ok_and(|share: f64| (0.0..50.0).contains(&share)),
        None => value.parse().is_ok_and(|line: i64| (0..5).contains(&line)),
    }
}

/// `1:02:03,500`, `02:03.5` and `00:00:03` in milliseconds.
fn millis(text: &str) -> Option<u64> {
    let (whole, fraction) = match text.split_once([',', '.']) {
        Some((whole, fraction)) => (whole, fraction),
        None => (text, "0"),
    };
    let mut parts = whole.split(':').rev();
    let (secs, minutes) = (number(parts.next()?)?, number(parts.next()?)?);
    let hours = parts.next().map_or(Some(0), number)?;
    if parts.next().is_some() || secs > 59 || minutes > 59 || fraction.len() > 9 {
        return None;
    }
    let is_digits = fraction.bytes().all(|byte| byte.is_ascii_digit());
    let thousandths = number(format!("{fraction:0<3}").get(..3).filter(|_| is_digits)?)?;
    Some(((hours * 60 + minutes) * 60 + secs) * 1000 + thousandths)
}

/// A number of at most four digits.
fn number(text: &str) -> Option<u64> {
    let is_short = (1..=9).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    let number: u64 = text.parse().ok().filter(|_| is_short)?;
    (number <= 9999).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_both_formats_write_them() {
        for (text, wanted) in [
            ("00:00:01,500", Some(1500)),
            ("1:02:03,004", Some(3_723_004)),
            ("02:03.5", Some(123_500)),
            ("00:00:07", Some(7000)),
            ("00:00:07.123456", Some(7123)),
            ("00:61:00,000", None),
            ("-00:00:01,000", None),
            ("00:00:01,0x0", None),
            ("00:00:01,000x", None),
            ("1:2:3:4,000", None),
            ("99999:00:00,000", None),
            ("٠٠:٠٠:٠١,٠٠٠", None),
            ("", None),
        ] {
            assert_eq!(millis(text), wanted, "{text}");
        }
    }

    #[test]
    fn settings_behind_the_times_are_left_but_for_a_place_at_the_top() {
        let top = |line| timing(line).map(|timing| timing.is_at_top);
        assert_eq!(top("00:01.000 --> 00:02.000"), Some(false));
        assert_eq!(top("00:01.000 --> 00:02.000 align:left line:10%"), Some(true));
        assert_eq!(top("00:01.000-->00:02.000 line:0"), Some(true));
        assert_eq!(top("00:01.000 --> 00:02.000 line:-1"), Some(false));
        assert_eq!(top("00:01.000 --> 00:02.000 line:90%,end"), Some(false));
        assert_eq!(top("00:00:01,000 --> 00:00:02,000 X1:10 X2:20"), Some(false));
        assert_eq!(top("soon --> later"), None);
        assert_eq!(top("00:01.000 -->"), None);
    }
}
