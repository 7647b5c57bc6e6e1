//! The `Range` header of one file: pure.
//!
//! One range is answered with a part, everything that RFC 9110 lets a server ignore (other
//! units, several ranges, bad syntax) with the whole.

use std::ops::Range;

/// What a `Range` header comes to for a file of a certain size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ranged {
    /// The whole file, with status 200.
    Whole,
    /// These bytes, never none, with status 206.
    Part(Range<u64>),
    /// There are no such bytes: status 416.
    Unsatisfiable,
}

impl Ranged {
    /// Reads the header's value for a file of `size` bytes.
    #[must_use]
    pub fn parse(header: &str, size: u64) -> Self {
        let Some((unit, range)) = header.split_once('=') else { return Self::Whole };
        if !unit.trim().eq_ignore_ascii_case("bytes") {
            return Self::Whole;
        }
        let Some((first, last)) = range.trim().split_once('-') else { return Self::Whole };
        match (position(first), position(last)) {
            (Some(Position::At(first)), Some(last)) => from(first, last, size),
            (Some(Position::Open), Some(Position::At(length))) => suffix(length, size),
            _ => Self::Whole,
        }
    }
}

#[derive(Clone, Copy)]
enum Position {
    Open,
    At(u64),
}

fn position(text: &str) -> Option<Position> {
    if text.is_empty() {
        return Some(Position::Open);
    }
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    // More digits than a number has are a position behind every file.
    Some(Position::At(text.parse().unwrap_or(u64::MAX)))
}

fn from(first: u64, last: Position, size: u64) -> Ranged {
    let end = match last {
        Position::At(last) if last < first => return Ranged::Whole,
        Position::At(last) => last.saturating_add(1).min(size),
        Position::Open => size,
    };
    if first < size { Ranged::Part(first..end) } else { Ranged::Unsatisfiable }
}

fn suffix(length: u64, size: u64) -> Ranged {
    if length == 0 || size == 0 {
        return Ranged::Unsatisfiable;
    }
    Ranged::Part(size.saturating_sub(length)..size)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ranges_are_read_as_rfc_9110_says() {
        for (header, expected) in [
            ("bytes=0-0", Ranged::Part(0..1)),
            ("bytes=2-5", Ranged::Part(2..6)),
            ("bytes=2-", Ranged::Part(2..10)),
            ("bytes=2-99", Ranged::Part(2..10)),
            ("bytes=-3", Ranged::Part(7..10)),
            ("bytes=-99", Ranged::Part(0..10)),
            ("Bytes = 1-1", Ranged::Part(1..2)),
            ("bytes=9-99999999999999999999999", Ranged::Part(9..10)),
            ("bytes=10-", Ranged::Unsatisfiable),
            ("bytes=99999999999999999999999-", Ranged::Unsatisfiable),
            ("bytes=-0", Ranged::Unsatisfiable),
            ("bytes=5-2", Ranged::Whole),
            ("bytes=0-1,3-4", Ranged::Whole),
            ("bytes=-", Ranged::Whole),
            ("bytes=a-b", Ranged::Whole),
            ("bytes=+1-2", Ranged::Whole),
            ("bytes", Ranged::Whole),
            ("frames=1-2", Ranged::Whole),
            ("", Ranged::Whole),
        ] {
            assert_eq!(Ranged::parse(header, 10), expected, "{header}");
        }
        assert_eq!(Ranged::parse("bytes=0-", 0), Ranged::Unsatisfiable);
        assert_eq!(Ranged::parse("bytes=-1", 0), Ranged::Unsatisfiable);
    }

    proptest! {
        #[test]
        fn a_part_is_never_empty_and_never_outside(
            header in "(bytes=)?[0-9,-]{0,30}|.{0,30}",
            size in any::<u64>(),
        ) {
            if let Ranged::Part(part) = Ranged::parse(&header, size) {
                prop_assert!(part.start < part.end && part.end <= size, "{header} of {size}");
            }
        }
    }
}
