//! What a codec is called in playlists: RFC 6381, from the decoder's own settings.

/// H.264, from the profile, the constraints and the level of its sequence parameters.
pub(super) fn avc(profile: u8, constraints: u8, level: u8) -> String {
    format!("avc1.{profile:02x}{constraints:02x}{level:02x}")
}

/// H.265, from an `hvcC` (ISO 14496-15, E.3).
pub(super) fn hevc(settings: &[u8]) -> Option<String> {
    let settings: &[u8; 13] = settings.first_chunk()?;
    let space = ["", "A", "B", "C"][usize::from(settings[1] >> 6)];
    let tier = if settings[1] & 0x20 == 0 { 'L' } else { 'H' };
    let profile = settings[1] & 0x1f;
    let compatible = u32::from_be_bytes([settings[2], settings[3], settings[4], settings[5]]);
    let compatible = compatible.reverse_bits();
    let level = settings[12];
    let mut name = format!("hvc1.{space}{profile}.{compatible:X}.{tier}{level}");
    // Six bytes of constraints, those at the end left out that are 0.
    let constraints = &settings[6..12];
    let told = constraints.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    for byte in &constraints[..told] {
        name += &format!(".{byte:X}");
    }
    Some(name)
}

/// AAC of the one profile that is made here, low complexity.
pub(super) const AAC: &str = "mp4a.40.2";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_that_browsers_know() {
        assert_eq!(avc(0x64, 0x00, 0x1f), "avc1.64001f");
        assert_eq!(avc(0x4d, 0x40, 0x1e), "avc1.4d401e");
        // Main profile, main tier, level 3.1, progressive frames only.
        let main = [1, 1, 0x60, 0, 0, 0, 0x90, 0, 0, 0, 0, 0, 93];
        assert_eq!(hevc(&main).as_deref(), Some("hvc1.1.6.L93.90"));
        let high_tier = [1, 0x22, 0x20, 0, 0, 0, 0xb0, 0, 0, 0, 0, 0, 150];
        assert_eq!(hevc(&high_tier).as_deref(), Some("hvc1.2.4.H150.B0"));
        assert_eq!(hevc(&main[..12]), None);
    }
}
