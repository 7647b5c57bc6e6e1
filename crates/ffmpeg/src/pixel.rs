//! What the name of a pixel format says.

/// Bits a sample; 8 where the name says nothing else.
pub(crate) fn bit_depth(name: &str) -> u8 {
    let name = name.strip_suffix("le").or(name.strip_suffix("be")).unwrap_or(name);
    let digits = name.len() - name.trim_end_matches(|c: char| c.is_ascii_digit()).len();
    let (family, number) = name.split_at(name.len() - digits);
    let number: u16 = number.parse().unwrap_or(8);
    match (family, number) {
        // Bits of a whole pixel.
        ("rgb" | "bgr", 48) | ("rgba" | "bgra" | "ayuv", 64) => 16,
        ("rgb" | "bgr" | "rgba" | "bgra", _) => 8,
        // 10, 12 or 16 bits after a digit for the sampling.
        ("p" | "y" | "xv", 10 | 210 | 410 | 30) => 10,
        ("p" | "y" | "xv", 12 | 212 | 412 | 36) => 12,
        ("p" | "y", 16 | 216 | 416) => 16,
        ("grayf" | "gbrpf" | "gbrapf" | "rgbf" | "rgbaf", 16 | 32) => number as u8,
        ("x2rgb" | "x2bgr", 10) => 10,
        ("xyz", 12) => 12,
        ("gray" | "ya", 9..=16) => number as u8,
        (planar, 9..=16) if planar.ends_with('p') => number as u8,
        _ => 8,
    }
}

/// Whether a picture of that format can be seen through.
pub(crate) fn has_alpha(name: &str) -> bool {
    const FAMILIES: [&str; 9] =
        ["yuva", "rgba", "bgra", "argb", "abgr", "gbrap", "ya8", "ya16", "ayuv"];
    name == "pal8" || name == "vuya" || FAMILIES.iter().any(|family| name.starts_with(family))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_tells_the_depth() {
        let table: [(u8, &[&str]); 6] = [
            (
                8,
                &[
                    "yuv420p", "yuvj420p", "nv12", "nv21", "rgb24", "bgra", "pal8", "gray", "",
                    "yuv410p", "uyvy422", "rgb565le", "ya8", "monob",
                ],
            ),
            (9, &["yuv420p9le", "gray9be"]),
            (
                10,
                &[
                    "yuv420p10le",
                    "yuva444p10be",
                    "p010le",
                    "p210le",
                    "y210le",
                    "x2rgb10le",
                    "gbrp10le",
                    "gray10le",
                    "xv30le",
                ],
            ),
            (12, &["yuv422p12le", "p012le", "gbrap12le", "xyz12le", "y212le", "xv36le"]),
            (14, &["yuv444p14le", "gbrp14be"]),
            (
                16,
                &["rgb48le", "rgba64be", "gray16be", "ya16le", "p016le", "yuv444p16le", "ayuv64le"],
            ),
        ];
        for (bits, names) in table {
            for name in names {
                assert_eq!(bit_depth(name), bits, "{name}");
            }
        }
        assert_eq!(bit_depth("gbrpf32le"), 32);
    }

    #[test]
    fn the_name_tells_whether_there_is_alpha() {
        for name in ["yuva420p", "rgba", "argb", "gbrap10le", "ya8", "ya16be", "pal8", "rgba64le"] {
            assert!(has_alpha(name), "{name}");
        }
        for name in ["yuv420p", "rgb24", "gray16le", "nv12", "yuv444p16le", "rgb0", ""] {
            assert!(!has_alpha(name), "{name}");
        }
    }
}
