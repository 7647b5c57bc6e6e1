//! Inputs that are here already: files that were uploaded, and outputs of other jobs.
//!
//! A URL of this server is not asked for over the network. It is a name, looked up by the worker
//! itself, and only when the caller may have what it names.

use std::collections::HashMap;

use percent_encoding::percent_decode_str;
use url::{Host, Url};

use super::{AppState, Problem, upload};
use crate::access::Caller;
use crate::job::{JobSpec, Kept};
use crate::output::{LinkError, LinkPath, Links, SignedQuery};
use crate::upload::UploadError;

/// How this server is reached, and which links are its own.
#[derive(Clone, Copy)]
pub(super) struct Here<'a> {
    pub(super) public_url: &'a Url,
    /// Where this caller has reached it, which need not be where the operator thinks that it is.
    pub(super) host: Option<&'a str>,
    pub(super) links: &'a Links,
}

impl Here<'_> {
    /// What of this server a URL names, if it names anything.
    ///
    /// # Errors
    ///
    /// It is the link to an output, and does not open it.
    pub(super) fn named_by(&self, url: &Url) -> Result<Option<Kept>, LinkError> {
        if !self.is_here(url) {
            return Ok(None);
        }
        let Some(segments) = url.path_segments() else { return Ok(None) };
        let segments: Vec<&str> = segments.collect();
        if let [.., "uploads", id] = segments.as_slice() {
            return Ok(id.parse().ok().map(Kept::Upload));
        }
        let Some(from) = segments.iter().position(|segment| *segment == "files") else {
            return Ok(None);
        };
        let path = segments[from + 1..].join("/");
        let Ok(path) = percent_decode_str(&path).decode_utf8() else { return Ok(None) };
        let path = LinkPath::read(&path);
        let pairs: HashMap<_, _> = url.query_pairs().into_owned().collect();
        let query = SignedQuery {
            expires: pairs.get("expires").and_then(|expires| expires.parse().ok()),
            signature: pairs.get("signature").cloned(),
        };
        self.links.check(path, &query)?;
        Ok(Some(Kept::Output(path.key.to_owned())))
    }

    fn is_here(&self, url: &Url) -> bool {
        let reached =
            self.host.and_then(|host| Url::parse(&format!("{}://{host}/", url.scheme())).ok());
        authority(url) == authority(self.public_url)
            || reached.is_some_and(|reached| authority(&reached) == authority(url))
    }
}

fn authority(url: &Url) -> (Option<Host<String>>, Option<u16>) {
    (url.host().map(|host| host.to_owned()), url.port_or_known_default())
}

/// Refuses jobs whose input is a file of this server that is not there, or not this caller's.
pub(super) async fn check_input(
    state: &AppState,
    caller: &Caller,
    specs: impl IntoIterator<Item = &JobSpec>,
) -> Result<(), Problem> {
    let named = specs.into_iter().find_map(|spec| spec.input.kept());
    let is_there = match named {
        None => true,
        Some(Kept::Output(key)) => state.store.output(&caller.project, key).await?.is_some(),
        Some(Kept::Upload(_)) if state.provider.is_some() => {
            let message = "this server hands its jobs to a provider, which cannot read this file";
            return Err(Problem::invalid_input("input", message)
                .hint("put the file where everybody can fetch it, and send its URL"));
        }
        Some(Kept::Upload(id)) => match state.uploads.make_use_of(&caller.project, *id).await {
            Ok(_) => true,
            Err(UploadError::Unknown) => false,
            Err(error) => return Err(upload::problem(error)),
        },
    };
    if is_there {
        return Ok(());
    }
    let message = "there is no whole file at this URL of this server";
    Err(Problem::invalid_input("input", message)
        .hint("finish the upload first; files go some days after their last use"))
}

/// What is told of a link that does not open its output.
pub(super) fn bad_link(name: &'static str, error: LinkError) -> Problem {
    let message = format!("`{name}` is a link of this server, and {error}");
    Problem::invalid_input(name, message)
        .hint("ask for the job again: every answer has fresh links")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::clock::{ManualClock, Timestamp};

    #[test]
    fn a_url_names_an_upload_where_this_server_is_and_nowhere_else() {
        let id = "upl_01h2xcejqtf2nbrexx3vqjhp41";
        let public_url = Url::parse("https://media.example.com/base/").expect("a URL");
        let clock = Arc::new(ManualClock::at(Timestamp::from_millis(1_764_000_000_000)));
        let life = Duration::from_hours(1);
        let links = Links::new(public_url.clone(), "secret".into(), life, clock);
        for (url, host, is_named) in [
            (format!("https://media.example.com/base/uploads/{id}"), None, true),
            (format!("https://MEDIA.example.com:443/base/uploads/{id}"), None, true),
            (format!("http://localhost:3000/uploads/{id}"), Some("localhost:3000"), true),
            (format!("http://localhost:3000/uploads/{id}"), Some("localhost:3001"), false),
            (format!("http://localhost:3000/uploads/{id}"), None, false),
            (format!("https://evil.example/uploads/{id}"), Some("media.example.com"), false),
            ("https://media.example.com/uploads/job_1".to_owned(), None, false),
            (format!("https://media.example.com/uploads/{id}/more"), None, false),
        ] {
            let parsed = Url::parse(&url).expect("a URL");
            let here = Here { public_url: &public_url, host, links: &links };
            let named = here.named_by(&parsed).expect("no link");
            assert_eq!(named.is_some(), is_named, "{url} {host:?}");
        }
        let here = Here { public_url: &public_url, host: None, links: &links };
        let link = Url::parse(&links.link("job_1/1/a.mp4")).expect("a link");
        assert_eq!(here.named_by(&link), Ok(Some(Kept::Output("job_1/1/a.mp4".to_owned()))));
        let mut unsigned = link.clone();
        unsigned.set_query(None);
        assert_eq!(here.named_by(&unsigned), Err(LinkError::Unsigned));
        let mut other = link;
        other.set_path("/base/files/job_2/1/a.mp4");
        assert_eq!(here.named_by(&other), Err(LinkError::Forged));
    }
}
