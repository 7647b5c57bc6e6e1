//! Decoded pictures, to look at their pixels.

use std::path::Path;

use super::process::run;

/// Red, green and blue.
type Rgb = [u8; 3];

/// One decoded picture.
pub(crate) struct Picture {
    pub(crate) width: usize,
    pub(crate) height: usize,
    /// Red, green, blue and alpha.
    pixels: Vec<u8>,
}

impl Picture {
    /// The picture of that number, upright, as a player shows it.
    pub(crate) fn of(path: &Path, number: u32) -> Self {
        let select = format!("select=eq(n\\,{number})");
        let path = path.to_str().expect("a path in UTF-8");
        // PAM says how large the picture is, whatever was made of it on the way.
        let arguments = [
            "-v",
            "error",
            "-nostdin",
            "-i",
            path,
            "-map",
            "0:v:0",
            "-vf",
            &select,
            "-frames:v",
            "1",
            "-pix_fmt",
            "rgba",
            "-c:v",
            "pam",
            "-f",
            "image2pipe",
            "-",
        ];
        Self::from_pam(&run("ffmpeg", &arguments))
    }

    fn from_pam(pam: &[u8]) -> Self {
        const END: &[u8] = b"ENDHDR\n";
        let end = pam.windows(END.len()).position(|at| at == END).expect("a picture") + END.len();
        let header = String::from_utf8_lossy(&pam[..end]);
        let number = |name: &str| {
            let line = header.lines().find_map(|line| line.strip_prefix(name));
            line.and_then(|number| number.trim().parse().ok()).expect("a number in the header")
        };
        let (width, height) = (number("WIDTH"), number("HEIGHT"));
        Self { width, height, pixels: pam[end..].to_vec() }
    }

    /// The colour at a place, told as shares of width and height.
    pub(crate) fn at(&self, x: f64, y: f64) -> Rgb {
        let [red, green, blue, _] = self.rgba(x, y);
        [red, green, blue]
    }

    /// How much the place hides, 0 to 255.
    pub(crate) fn alpha(&self, x: f64, y: f64) -> u8 {
        self.rgba(x, y)[3]
    }

    fn rgba(&self, x: f64, y: f64) -> [u8; 4] {
        let place = |share: f64, side: usize| ((share * side as f64) as usize).min(side - 1);
        let first = (place(y, self.height) * self.width + place(x, self.width)) * 4;
        self.pixels[first..first + 4].try_into().expect("four bytes")
    }

    /// What the colour at a place is called.
    pub(crate) fn name(&self, x: f64, y: f64) -> &'static str {
        name(self.at(x, y))
    }

    /// The names of the colours in the four corners, row by row.
    pub(crate) fn corners(&self) -> [&'static str; 4] {
        [(0.1, 0.1), (0.9, 0.1), (0.1, 0.9), (0.9, 0.9)].map(|(x, y)| self.name(x, y))
    }
}

/// What a colour is called, when it is one of the few that clips have.
fn name(color: Rgb) -> &'static str {
    const NAMES: [(&str, Rgb); 7] = [
        ("red", [255, 0, 0]),
        ("lime", [0, 255, 0]),
        ("blue", [0, 0, 255]),
        ("white", [255, 255, 255]),
        ("black", [0, 0, 0]),
        ("grey", [128, 128, 128]),
        ("orange", [255, 128, 0]),
    ];
    let found = NAMES.iter().find(|(_, known)| is_near(color, *known, 12));
    found.map_or("no colour of the clip", |(name, _)| name)
}

/// Whether no channel is further away than `most`.
fn is_near(color: Rgb, other: Rgb, most: u8) -> bool {
    color.iter().zip(other).all(|(a, b)| a.abs_diff(b) <= most)
}

/// How alike the pictures of two files of one size are: 1 is the same (SSIM).
pub(crate) fn likeness(path: &Path, reference: &Path) -> f64 {
    let (path, reference) = (path.to_str().expect("UTF-8"), reference.to_str().expect("UTF-8"));
    let graph = "[0:v]format=yuv420p[a];[1:v]format=yuv420p[b];[a][b]ssim=stats_file=-";
    let arguments = [
        "-v",
        "error",
        "-nostdin",
        "-i",
        path,
        "-i",
        reference,
        "-filter_complex",
        graph,
        "-f",
        "null",
        "/dev/null",
    ];
    let said = String::from_utf8(run("ffmpeg", &arguments)).expect("text");
    let each: Vec<f64> = said
        .lines()
        .filter_map(|line| line.split("All:").nth(1)?.split_whitespace().next()?.parse().ok())
        .collect();
    assert!(!each.is_empty(), "no picture was compared: {said}");
    each.iter().sum::<f64>() / each.len() as f64
}
