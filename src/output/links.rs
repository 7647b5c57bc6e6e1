//! Links to outputs: signed, with an end.

use std::sync::Arc;
use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use sha2::Sha256;
use url::Url;

use super::Storage;
use crate::clock::{Clock, Timestamp};

/// What of a key could be taken for something else in a URL; slashes stay.
const NOT_IN_A_PATH: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The longest life of a link (reliability.md section 5: at most seven days).
pub const MAX_LINK_LIFE: Duration = Duration::from_hours(7 * 24);

/// Makes and checks links of the form `{public url}/files/{key}?expires={unix s}&signature={hex}`.
///
/// The signature is an HMAC-SHA256 over `GET`, the key and the expiry: a link opens one file,
/// for reading, until its time is over. Where outputs are public, or in a bucket that signs
/// links, links lead there instead ([`Self::leading_to`]); these stay good all the same.
///
/// A file that names others beside it, such as a playlist, is of no use alone. A link to one is
/// `{public url}/files/~{expires}.{signature}/{key}`: the signature stands in front, is for all
/// files of the attempt, and stays in front of every relative name that a player resolves. In a
/// bucket no signature can do that, so these links lead to this server wherever the files are,
/// unless they are public.
#[derive(Clone, Debug)]
pub struct Links {
    public_url: Url,
    secret: Arc<SecretString>,
    life: Duration,
    clock: Arc<dyn Clock>,
    leads_to: LeadsTo,
}

/// Where links lead.
#[derive(Clone, Debug)]
enum LeadsTo {
    ThisServer,
    Storage(Storage),
    Public(PublicUrls, Storage),
}

/// Where outputs can be read by anyone: a public bucket, or a network in front of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicUrls {
    before: String,
    after: String,
}

impl PublicUrls {
    const KEY: &str = "{key}";

    /// Reads a template such as `https://cdn.example.com/{key}`.
    ///
    /// # Errors
    ///
    /// It is no http or https URL, or does not say where the key belongs.
    pub fn parse(template: &str) -> Result<Self, &'static str> {
        let shape = "it is a URL with {key} in its path, such as https://cdn.example.com/{key}";
        let (before, after) = template.split_once(Self::KEY).ok_or(shape)?;
        let made = Self { before: before.to_owned(), after: after.to_owned() };
        let url = Url::parse(&made.url("key")).map_err(|_| shape)?;
        let is_in_path = url.host_str().is_some_and(|host| !host.is_empty())
            && url.path().contains("key")
            && !after.contains(Self::KEY);
        if matches!(url.scheme(), "http" | "https") && is_in_path { Ok(made) } else { Err(shape) }
    }

    fn url(&self, key: &str) -> String {
        format!("{}{}{}", self.before, utf8_percent_encode(key, NOT_IN_A_PATH), self.after)
    }
}

/// The query of a signed link.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct SignedQuery {
    /// Unix seconds after which the link is void.
    pub expires: Option<i64>,
    /// HMAC in lower-case hex.
    pub signature: Option<String>,
}

/// The start of a link's path that says a signature for all files of an attempt follows.
const FAMILY_MARK: char = '~';

/// Whether the file with this key is used with others that it names by relative paths.
fn names_others(key: &str) -> bool {
    let name = key.rsplit('/').next().unwrap_or_default();
    let format = name.rsplit_once('.').map(|(_, format)| format);
    matches!(format, Some("m3u8" | "mpd" | "vtt"))
}

/// What all keys of one attempt begin with: `{job}/{attempt}/`.
fn family(key: &str) -> &str {
    let mut slashes = key.match_indices('/').map(|(at, _)| at + 1);
    slashes.nth(1).map_or(key, |end| &key[..end])
}

/// The path of a link, behind `/files/`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkPath<'a> {
    /// The file's key.
    pub key: &'a str,
    /// Expiry and signature for all files of the attempt, if the path has them.
    family: Option<&'a str>,
}

impl<'a> LinkPath<'a> {
    /// Takes a path apart.
    #[must_use]
    pub fn read(path: &'a str) -> Self {
        let marked = path.strip_prefix(FAMILY_MARK).and_then(|rest| rest.split_once('/'));
        match marked {
            Some((signed, key)) => Self { key, family: Some(signed) },
            None => Self { key: path, family: None },
        }
    }
}

/// Why a link does not open its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    /// There is no signature.
    #[error("the link is not signed")]
    Unsigned,
    /// The signature is not ours, or not for this file and time.
    #[error("the link's signature is wrong")]
    Forged,
    /// The link was good once.
    #[error("the link has expired")]
    Expired,
}

impl Links {
    /// Links below `public_url` that live for `life`, at most [`MAX_LINK_LIFE`].
    #[must_use]
    pub fn new(
        public_url: Url,
        secret: SecretString,
        life: Duration,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let (secret, life) = (Arc::new(secret), life.min(MAX_LINK_LIFE));
        Self { public_url, secret, life, clock, leads_to: LeadsTo::ThisServer }
    }

    /// The same, with links that lead to `public` where that is given, else to where `storage`
    /// is, as far as it can sign links on the spot.
    #[must_use]
    pub fn leading_to(self, storage: Storage, public: Option<PublicUrls>) -> Self {
        let leads_to = match public {
            Some(public) => LeadsTo::Public(public, storage),
            None => LeadsTo::Storage(storage),
        };
        Self { leads_to, ..self }
    }

    /// A link to the file with this storage key, valid from now for the usual life.
    #[must_use]
    pub fn link(&self, key: &str) -> String {
        self.link_for(key, self.life)
    }

    /// A link that lives as long as a link can: for readers of the `media_jobs` relation.
    #[must_use]
    pub fn lasting_link(&self, key: &str) -> String {
        self.link_for(key, MAX_LINK_LIFE)
    }

    /// A link that leads to this server, wherever others lead.
    #[must_use]
    pub fn own_link(&self, key: &str) -> String {
        self.link_until(key, self.clock.now().plus(self.life))
    }

    /// The URL of one of this server's pages.
    #[must_use]
    pub fn page(&self, path: &str) -> String {
        format!("{}{path}", self.public_url.as_str().trim_end_matches('/'))
    }

    fn link_for(&self, key: &str, life: Duration) -> String {
        let elsewhere = match &self.leads_to {
            LeadsTo::Public(public, storage) => Some(public.url(&storage.full_key(key))),
            _ if names_others(key) => None,
            LeadsTo::ThisServer => None,
            LeadsTo::Storage(storage) => storage.link(key, life).map(String::from),
        };
        elsewhere.unwrap_or_else(|| self.link_until(key, self.clock.now().plus(life)))
    }

    fn link_until(&self, key: &str, end: Timestamp) -> String {
        let expires = end.secs();
        let mut url = self.public_url.clone();
        if names_others(key) {
            let signature = hex::encode(self.mac("FAMILY", family(key), expires));
            if let Ok(mut path) = url.path_segments_mut() {
                let signed = format!("{FAMILY_MARK}{expires}.{signature}");
                path.pop_if_empty().extend(["files", &signed]).extend(key.split('/'));
            }
            return url.into();
        }
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().push("files").extend(key.split('/'));
        }
        let signature = hex::encode(self.mac("GET", key, expires));
        url.query_pairs_mut()
            .append_pair("expires", &expires.to_string())
            .append_pair("signature", &signature);
        url.into()
    }

    /// Whether a link with this path and query opens its file.
    ///
    /// # Errors
    ///
    /// See [`LinkError`].
    pub fn check(&self, path: LinkPath<'_>, query: &SignedQuery) -> Result<(), LinkError> {
        let (what, name, expires, signature) = match (path.family, query) {
            (Some(family_signed), _) => {
                let (expires, signature) =
                    family_signed.split_once('.').ok_or(LinkError::Forged)?;
                let expires = expires.parse().map_err(|_| LinkError::Forged)?;
                ("FAMILY", family(path.key), expires, signature)
            }
            (None, SignedQuery { expires: Some(expires), signature: Some(signature) }) => {
                ("GET", path.key, *expires, &**signature)
            }
            (None, _) => return Err(LinkError::Unsigned),
        };
        let signature = hex::decode(signature).map_err(|_| LinkError::Forged)?;
        self.keyed(what, name, expires).verify_slice(&signature).map_err(|_| LinkError::Forged)?;
        if self.clock.now().secs() > expires { Err(LinkError::Expired) } else { Ok(()) }
    }

    fn mac(&self, what: &str, name: &str, expires: i64) -> impl AsRef<[u8]> {
        self.keyed(what, name, expires).finalize().into_bytes()
    }

    fn keyed(&self, what: &str, name: &str, expires: i64) -> Hmac<Sha256> {
        #[expect(clippy::expect_used, reason = "HMAC takes a key of any length")]
        let mut mac = Hmac::<Sha256>::new_from_slice(self.secret.expose_secret().as_bytes())
            .expect("any key length");
        mac.update(format!("{what}\n{name}\n{expires}").as_bytes());
        mac
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;

    fn links() -> (Links, Arc<ManualClock>) {
        let clock = Arc::new(ManualClock::at(Timestamp::from_millis(1_764_000_000_000)));
        let base = Url::parse("https://media.example.com/base/").expect("a URL");
        let links = Links::new(base, "secret".into(), Duration::from_mins(1), clock.clone());
        (links, clock)
    }

    fn query(link: &str) -> SignedQuery {
        let url = Url::parse(link).expect("a link");
        let pairs: std::collections::HashMap<_, _> = url.query_pairs().into_owned().collect();
        SignedQuery {
            expires: pairs["expires"].parse().ok(),
            signature: Some(pairs["signature"].clone()),
        }
    }

    fn path(path: &str) -> LinkPath<'_> {
        LinkPath::read(path)
    }

    /// The path behind `/files/` of what a player asks for that resolves `name` in `link`.
    fn resolved(link: &str, name: &str) -> String {
        let url = Url::parse(link).and_then(|link| link.join(name)).expect("a name");
        url.path().split_once("/files/").expect("a file").1.to_owned()
    }

    #[test]
    fn a_link_to_a_playlist_opens_what_the_playlist_names_and_nothing_else() {
        let (links, clock) = links();
        let none = SignedQuery::default();
        let link = links.link("job_1/1/master.m3u8");
        let opens = |name: &str| links.check(path(&resolved(&link, name)), &none);
        for name in ["master.m3u8", "720p.m3u8", "720p.mp4", "manifest.mpd", "frames/1.jpg"] {
            assert_eq!(opens(name), Ok(()), "{name}");
            assert_eq!(path(&resolved(&link, name)).key, format!("job_1/1/{name}"));
        }
        for name in [
            "../2/master.m3u8",
            "../../job_2/1/720p.mp4",
            "../master.m3u8",
            "/files/job_1/1/720p.mp4",
        ] {
            assert!(opens(name).is_err(), "{name}");
        }
        // A signature for one file is none for all, and the other way round.
        let one = query(&links.link("job_1/1/a.mp4"));
        let (expires, signature) = (one.expires.expect("one"), one.signature.expect("one"));
        let forged = format!("~{expires}.{signature}/job_1/1/a.mp4");
        assert_eq!(links.check(path(&forged), &none), Err(LinkError::Forged));
        for broken in ["~/job_1/1/a.mp4", "~1/job_1/1/a.mp4", "~x.y/job_1/1/a.mp4", "~1.zz/a"] {
            assert_eq!(links.check(path(broken), &none), Err(LinkError::Forged), "{broken}");
        }
        clock.advance(Duration::from_secs(61));
        assert_eq!(opens("720p.mp4"), Err(LinkError::Expired));
    }

    #[test]
    fn a_link_opens_its_file_until_its_time_is_over() {
        let (links, clock) = links();
        let link = links.link("job_1/1/video.mp4");
        assert!(
            link.starts_with("https://media.example.com/base/files/job_1/1/video.mp4?expires="),
            "{link}"
        );
        let query = query(&link);
        assert_eq!(links.check(path("job_1/1/video.mp4"), &query), Ok(()));
        assert_eq!(links.check(path("job_2/1/video.mp4"), &query), Err(LinkError::Forged));
        clock.advance(Duration::from_secs(61));
        assert_eq!(links.check(path("job_1/1/video.mp4"), &query), Err(LinkError::Expired));
    }

    #[test]
    fn a_template_puts_the_encoded_key_where_it_says() {
        let urls = PublicUrls::parse("https://cdn.example.com/a/{key}?v=1").expect("a template");
        assert_eq!(
            urls.url("job_1/1/é ?.mp4"),
            "https://cdn.example.com/a/job_1/1/%C3%A9%20%3F.mp4?v=1"
        );
        for wrong in [
            "https://cdn.example.com/",
            "cdn.example.com/{key}",
            "ftp://cdn.example.com/{key}",
            "https://{key}/a",
            "https://cdn.example.com/?file={key}",
            "https://cdn.example.com/{key}/{key}",
        ] {
            assert!(PublicUrls::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn where_outputs_are_public_links_lead_there_and_never_end() {
        let folder = tempfile::tempdir().expect("a folder");
        let storage = Storage::local(folder.path()).expect("a storage");
        let (links, clock) = links();
        let public = PublicUrls::parse("https://cdn.example.com/{key}").expect("a template");
        let links = links.leading_to(storage, Some(public));
        let link = links.link("job_1/1/video.mp4");
        assert_eq!(link, "https://cdn.example.com/job_1/1/video.mp4");
        clock.advance(Duration::from_hours(24));
        assert_eq!(links.lasting_link("job_1/1/video.mp4"), link);
    }

    #[test]
    fn a_link_cannot_be_made_to_live_longer() {
        let (links, _) = links();
        let mut query = query(&links.link("a"));
        query.expires = query.expires.map(|at| at + 1000);
        assert_eq!(links.check(path("a"), &query), Err(LinkError::Forged));
        assert_eq!(links.check(path("a"), &SignedQuery::default()), Err(LinkError::Unsigned));
    }
}
