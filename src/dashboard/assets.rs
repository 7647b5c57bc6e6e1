//! Scripts, styles and pictures of the pages, all in the program itself.
//!
//! Each is asked for under a name with a digest of its bytes in it, so that browsers may keep it
//! for ever and never show a page with another version's style.

use std::sync::LazyLock;

use axum::extract::Path;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Redirect, Response};
use sha2::{Digest as _, Sha256};

/// A file of the pages.
struct Asset {
    name: &'static str,
    content_type: &'static str,
    bytes: &'static [u8],
}

const JS: &str = "text/javascript; charset=utf-8";

/// A small film for the first try.
pub(super) const SAMPLE: &[u8] = include_bytes!("assets/sample.mp4");

/// Everything that pages load.
const ASSETS: [Asset; 7] = [
    Asset {
        name: "app.css",
        content_type: "text/css; charset=utf-8",
        bytes: include_bytes!("assets/app.css"),
    },
    Asset { name: "app.js", content_type: JS, bytes: include_bytes!("assets/app.js") },
    // htmx 4.0.1 and its own extension for event streams, 0BSD: assets/htmx.LICENSE.
    Asset { name: "htmx.js", content_type: JS, bytes: include_bytes!("assets/htmx-4.0.1.min.js") },
    Asset {
        name: "hx-sse.js",
        content_type: JS,
        bytes: include_bytes!("assets/hx-sse-4.0.1.min.js"),
    },
    // hls.js 1.7.4, Apache-2.0: assets/hls.LICENSE. Only pages with a playlist load it.
    Asset {
        name: "hls.js",
        content_type: JS,
        bytes: include_bytes!("assets/hls-1.7.4.light.min.js"),
    },
    Asset {
        name: "icon.svg",
        content_type: "image/svg+xml",
        bytes: include_bytes!("assets/icon.svg"),
    },
    // Four seconds for whoever has no film at hand, made with ffmpeg's own sources.
    Asset { name: "sample.mp4", content_type: "video/mp4", bytes: SAMPLE },
];

/// The name of each asset with a digest in it: `app.1f3a5c7d.css`.
static MARKED: LazyLock<Vec<(String, &'static Asset)>> = LazyLock::new(|| {
    let marked = ASSETS.iter().map(|asset| {
        let digest = hex::encode(&Sha256::digest(asset.bytes)[..4]);
        let (stem, extension) = asset.name.split_once('.').unwrap_or((asset.name, ""));
        (format!("{stem}.{digest}.{extension}"), asset)
    });
    marked.collect()
});

/// Where an asset is, for a page.
pub(super) fn path(name: &str) -> String {
    let marked = MARKED.iter().find(|(_, asset)| asset.name == name);
    format!("/ui/assets/{}", marked.map_or(name, |(marked, _)| marked))
}

/// `GET /ui/assets/{name}`.
pub(super) async fn serve(Path(name): Path<String>) -> Response {
    let Some((_, asset)) = MARKED.iter().find(|(marked, _)| *marked == name) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let headers = [
        (CONTENT_TYPE, asset.content_type),
        (CACHE_CONTROL, "public, max-age=31536000, immutable"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (CONTENT_SECURITY_POLICY, "default-src 'none'"),
        (header::CONTENT_DISPOSITION, "inline"),
    ];
    (headers, asset.bytes).into_response()
}

/// `GET /favicon.ico`: browsers ask for it by themselves.
pub(super) async fn icon() -> Redirect {
    Redirect::permanent(&path("icon.svg"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_have_written_is_what_they_have_published() {
        let digests: Vec<String> = ASSETS
            .iter()
            .filter(|asset| ["htmx.js", "hx-sse.js", "hls.js"].contains(&asset.name))
            .map(|asset| format!("{} {}", asset.name, hex::encode(Sha256::digest(asset.bytes))))
            .collect();
        insta::assert_snapshot!(digests.join("\n"));
    }

    #[test]
    fn an_asset_is_found_under_the_name_that_pages_use_and_under_no_other() {
        let name = path("app.css");
        assert!(name.starts_with("/ui/assets/app.") && name.contains(".css"), "{name}");
        assert_ne!(name, "/ui/assets/app.css");
    }
}
