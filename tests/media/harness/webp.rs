//! Moving WebP, which ffmpeg 5.1 writes but cannot read: taken apart by its chunks.

/// What stands in a moving WebP.
pub(crate) struct Webp {
    /// Width and height of the canvas.
    pub(crate) canvas: (u32, u32),
    /// How often it is shown; 0 is for ever.
    pub(crate) loops: u32,
    /// How long each picture is shown in milliseconds.
    pub(crate) millis: Vec<u32>,
    /// The first picture as a file of its own.
    pub(crate) first: Vec<u8>,
}

impl Webp {
    pub(crate) fn of(bytes: &[u8]) -> Self {
        assert!(bytes.starts_with(b"RIFF") && &bytes[8..12] == b"WEBP", "no WebP");
        let mut webp = Self { canvas: (0, 0), loops: 1, millis: Vec::new(), first: Vec::new() };
        let mut rest = &bytes[12..];
        while rest.len() >= 8 {
            let size = number(&rest[4..8]) as usize;
            let (name, body) = (&rest[..4], &rest[8..8 + size]);
            match name {
                b"VP8X" => webp.canvas = (number(&body[4..7]) + 1, number(&body[7..10]) + 1),
                b"ANIM" => webp.loops = number(&body[4..6]),
                b"ANMF" => webp.take(body),
                _ => {}
            }
            rest = &rest[(8 + size + size % 2).min(rest.len())..];
        }
        if webp.first.is_empty() {
            // Where all pictures are the same one, libwebp writes only that.
            webp.first = bytes.to_vec();
        }
        webp
    }

    pub(crate) fn secs(&self) -> f64 {
        f64::from(self.millis.iter().sum::<u32>()) / 1000.0
    }

    fn take(&mut self, body: &[u8]) {
        self.millis.push(number(&body[12..15]));
        if !self.first.is_empty() {
            return;
        }
        let picture = &body[16..];
        let alpha = picture.starts_with(b"ALPH");
        let head = if alpha {
            // What the first picture of a canvas with alpha needs around it.
            let mut head = b"VP8X\x0a\0\0\0\x10\0\0\0".to_vec();
            head.extend_from_slice(&body[6..12]);
            head
        } else {
            Vec::new()
        };
        let size = u32::try_from(4 + head.len() + picture.len()).expect("a small picture");
        self.first = [b"RIFF", &size.to_le_bytes()[..], b"WEBP", &head, picture].concat();
    }
}

fn number(bytes: &[u8]) -> u32 {
    bytes.iter().rev().fold(0, |number, &byte| number << 8 | u32::from(byte))
}
