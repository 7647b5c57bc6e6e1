//! The programs: there, new enough, and with the encoders that jobs ask for.

use std::path::Path;

use ffmpeg::{Hardware, HardwareEncoder, Limits, Tools};

use super::{Check, DoctorConfig, sandbox};
use crate::config;

/// The encoders of the usual formats.
const NEEDED: &[&str] =
    &["libx264", "libx265", "libvpx-vp9", "aac", "libmp3lame", "libopus", "libvorbis", "libwebp"];

/// Either of them makes AV1.
const AV1: &[&str] = &["libsvtav1", "libaom-av1"];

pub(super) async fn check(
    ffmpeg: Option<&Path>,
    ffprobe: Option<&Path>,
    config: &DoctorConfig,
) -> Vec<Check> {
    let tools = match Tools::find(ffmpeg, ffprobe, Limits::default()).await {
        Ok(tools) if config.extras.namespaces => tools,
        Ok(tools) => tools.in_sandbox(tools.sandbox().without_namespaces()),
        Err(error) => {
            let fix = "apt-get install ffmpeg, or set REELWAY_FFMPEG and REELWAY_FFPROBE";
            return vec![Check::bad("ffmpeg", error.to_string(), fix)];
        }
    };
    vec![
        Check::good("ffmpeg", tools.version()),
        encoders(&tools),
        photographs(&tools),
        pictures(&tools),
        Box::pin(hardware(&tools, config.encoder)).await,
        fonts(FONTS),
        sandbox::check(&tools, config.sandbox).await,
    ]
}

/// Where fonts are looked for, here and inside the sandbox.
const FONTS: &[&str] = &["/usr/share/fonts", "/usr/local/share/fonts"];

fn photographs(tools: &Tools) -> Check {
    match tools.heif_convert() {
        Some(path) => Check::good("heic", format!("{} opens HEIC photographs", path.display())),
        None => Check::doubtful(
            "heic",
            "no heif-convert: HEIC photographs are refused",
            "apt-get install libheif-examples",
        ),
    }
}

fn pictures(tools: &Tools) -> Check {
    let Some(vips) = tools.vips() else {
        return Check::doubtful(
            "libvips",
            "no vipsthumbnail of libvips 8.13 or later: ffmpeg makes pictures, more slowly",
            "apt-get install libvips-tools",
        );
    };
    let kinds = [("WebP", vips.savers.webp), ("AVIF", vips.savers.avif), ("PNG", true)];
    let kinds = kinds.into_iter().filter_map(|(name, is_there)| is_there.then_some(name));
    let kinds = kinds.collect::<Vec<_>>().join(", ");
    Check::good("libvips", format!("{} makes pictures: {kinds}", vips.version))
}

/// All that there is, whatever the settings ask for.
async fn hardware(tools: &Tools, wanted: config::Encoder) -> Check {
    let tools = tools.with_hardware(&Hardware::ALL).await;
    let is_met = |encoder: &HardwareEncoder| wanted.wanted().contains(&encoder.hardware);
    if let Some(missed) = wanted.missed(tools.hardware().iter().any(is_met)) {
        let fix = "give the server the card's devices and drivers, or leave REELWAY_ENCODER out";
        return Check::doubtful("hardware", missed, fix);
    }
    let names = tools.hardware().iter().map(|encoder| encoder.name()).collect::<Vec<_>>();
    if names.is_empty() {
        return Check::good("hardware", "no encoder in hardware: the processors encode");
    }
    let names = names.join(", ");
    Check::good("hardware", format!("{names}: used with REELWAY_ENCODER=auto"))
}

fn fonts(folders: &[&str]) -> Check {
    if folders.iter().any(|folder| has_font(Path::new(folder), 5)) {
        return Check::good("fonts", "there are some, for subtitles");
    }
    let found = "none: subtitles cannot be burnt in";
    Check::doubtful("fonts", found, "apt-get install fonts-dejavu-core")
}

fn has_font(folder: &Path, depth: u32) -> bool {
    let Ok(entries) = std::fs::read_dir(folder) else { return false };
    entries.filter_map(Result::ok).map(|entry| entry.path()).any(|path| {
        let ending = path.extension().unwrap_or_default().to_ascii_lowercase();
        let is_font = ["ttf", "otf", "ttc"].iter().any(|known| ending == *known);
        is_font || depth > 0 && path.is_dir() && has_font(&path, depth - 1)
    })
}

fn encoders(tools: &Tools) -> Check {
    let mut missing: Vec<&str> =
        NEEDED.iter().copied().filter(|name| !tools.has_encoder(name)).collect();
    if !AV1.iter().any(|name| tools.has_encoder(name)) {
        missing.push("an AV1 encoder");
    }
    if missing.is_empty() {
        return Check::good("encoders", "all that jobs can ask for");
    }
    let found = format!("missing: {}", missing.join(", "));
    Check::doubtful("encoders", found, "install your distribution's full ffmpeg")
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;

    #[test]
    fn a_machine_without_fonts_is_told_which_package_has_some() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().to_str().expect("UTF-8");
        let none = fonts(&[path, "/nowhere"]);
        assert_eq!(none.verdict, Verdict::Doubtful);
        assert!(none.fix.expect("a fix").contains("fonts-dejavu-core"));
        std::fs::create_dir(folder.path().join("truetype")).expect("a folder");
        std::fs::write(folder.path().join("truetype/Some.TTF"), "").expect("a file");
        assert_eq!(fonts(&[path]).verdict, Verdict::Good);
    }
}
