//! `SIZE HEADER`: what a `Range` header comes to for a file of a size.

use reelway::request::Ranged;

/// A part is within the file, and asked for by its own numbers it is the same part.
pub(crate) fn holds(data: &[u8]) {
    let Some((size, header)) = read(data) else { return };
    let asked = Ranged::parse(header, size);
    let Ranged::Part(part) = &asked else { return };
    assert!(part.start < part.end && part.end <= size, "{header} of {size}: {part:?}");
    let (first, last) = (part.start, part.end - 1);
    for same in [
        format!("bytes={first}-{last}"),
        format!("BYTES={first}-{last}"),
        format!("bytes={first:030}-{last:030}"),
    ] {
        assert_eq!(Ranged::parse(&same, size), asked, "{header} and {same} of {size}");
    }
    // In a file that ends with the part, so does whatever was asked for.
    if part.end == size {
        let rest = size - first;
        assert_eq!(Ranged::parse(&format!("bytes={first}-"), size), asked);
        assert_eq!(Ranged::parse(&format!("bytes=-{rest}"), size), asked);
    }
    // Of a file without the part there is nothing to give.
    assert_eq!(Ranged::parse(&format!("bytes={first}-{last}"), first), Ranged::Unsatisfiable);
}

fn read(data: &[u8]) -> Option<(u64, &str)> {
    let (size, header) = std::str::from_utf8(data).ok()?.trim_end_matches('\n').split_once(' ')?;
    Some((size.parse().ok()?, header))
}
