//! A still WebP with its pixels and nothing beside them.
//!
//! libvips 8.14 writes the source's EXIF, XMP and colour profile into a WebP although it is told to
//! strip them. The layout is that of the WebP container specification.

/// What a still has: its canvas, its pixels, what can be seen through.
const PIXELS: [&[u8; 4]; 4] = [b"VP8X", b"VP8 ", b"VP8L", b"ALPH"];

/// The only flag of the canvas that speaks of them.
const ALPHA: u8 = 0x10;

/// The file without everything else; nothing where it is not built as a WebP is.
pub(crate) fn bare(file: &[u8]) -> Option<Vec<u8>> {
    let mut rest = file.strip_prefix(b"RIFF")?.get(4..)?.strip_prefix(b"WEBP")?;
    let mut kept = b"WEBP".to_vec();
    while !rest.is_empty() {
        let name = rest.first_chunk::<4>()?;
        let size = u32::from_le_bytes(*rest.get(4..)?.first_chunk()?) as usize;
        let chunk = rest.get(..size.checked_add(8 + size % 2)?)?;
        rest = &rest[chunk.len()..];
        if PIXELS.contains(&name) {
            let flags = kept.len() + 8;
            kept.extend(chunk);
            if name == b"VP8X" {
                *kept.get_mut(flags)? &= ALPHA;
            }
        }
    }
    let size = u32::try_from(kept.len()).ok()?;
    Some([b"RIFF", &size.to_le_bytes()[..], &kept].concat())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn chunk(name: &[u8; 4], bytes: &[u8]) -> Vec<u8> {
        let size = (bytes.len() as u32).to_le_bytes();
        let padding = vec![0; bytes.len() % 2];
        [&name[..], &size, bytes, &padding].concat()
    }

    fn webp(chunks: &[Vec<u8>]) -> Vec<u8> {
        let body = [b"WEBP".to_vec(), chunks.concat()].concat();
        [b"RIFF", &(body.len() as u32).to_le_bytes()[..], &body].concat()
    }

    #[test]
    fn pixels_stay_and_everything_else_goes() {
        let canvas = |flags| chunk(b"VP8X", &[flags, 0, 0, 0, 1, 0, 0, 1, 0, 0]);
        let pixels = [chunk(b"ALPH", b"odd"), chunk(b"VP8 ", b"pixels")];
        let noted = webp(&[
            canvas(0x3c),
            chunk(b"ICCP", b"a profile"),
            pixels[0].clone(),
            pixels[1].clone(),
            chunk(b"EXIF", b"a place"),
            chunk(b"XMP ", b"a name"),
            chunk(b"NOTE", b"whatever"),
        ]);
        let plain = webp(&[canvas(0x10), pixels[0].clone(), pixels[1].clone()]);
        assert_eq!(bare(&noted), Some(plain.clone()));
        assert_eq!(bare(&plain), Some(plain.clone()));
        assert_eq!(bare(&plain[..plain.len() - 1]), None);
        assert_eq!(bare(b"RIFF"), None);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in any::<Vec<u8>>()) {
            let _seen = bare(&webp(std::slice::from_ref(&bytes)));
            let _seen = bare(&bytes);
        }
    }
}
