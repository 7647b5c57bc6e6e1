//! Uploads in parts that nobody will finish: of workers that were killed.
//!
//! Their parts are in no listing of objects and are paid for all the same. The object store
//! library does not list them; the request is signed like a link and answered in XML, by S3 and
//! by Google alike.

use std::time::Duration;

use object_store::client::{HttpRequest, HttpRequestBody};
use object_store::path::Path as Key;
use object_store::signer::{Method, SignedUrlOptions};
use serde::Deserialize;

use super::StorageError;
use super::bucket::Bucket;

/// How long the signed question is good for.
const LIFE: Duration = Duration::from_mins(1);

/// What became of a search for uploads that were given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Abandoned {
    /// So many were aborted.
    Aborted(u64),
    /// This bucket does not list them, or not for us: a lifecycle rule has to end them.
    NotListed,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Listing {
    #[serde(default, rename = "Upload")]
    uploads: Vec<Begun>,
    #[serde(default)]
    is_truncated: bool,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Begun {
    key: String,
    upload_id: String,
}

impl Bucket {
    /// Aborts every unfinished upload to the object `at` or below it.
    pub(super) async fn abort_uploads(&self, at: &Key) -> Result<Abandoned, StorageError> {
        let Some(uploads) = self.uploads() else { return Ok(Abandoned::NotListed) };
        let mut aborted = 0;
        loop {
            let Some(listing) = self.list_uploads(at).await? else {
                return Ok(Abandoned::NotListed);
            };
            // The server compares letters: `job/1` is also the beginning of `job/10`.
            let ours = |key: &Key| key == at || key.prefix_match(at).is_some();
            let before = aborted;
            for Begun { key, upload_id } in listing.uploads {
                let key = Key::parse(key)?;
                if ours(&key) {
                    uploads.abort_multipart(&key, &upload_id).await?;
                    aborted += 1;
                }
            }
            if !listing.is_truncated || aborted == before {
                return Ok(Abandoned::Aborted(aborted));
            }
        }
    }

    async fn list_uploads(&self, at: &Key) -> Result<Option<Listing>, StorageError> {
        let query =
            SignedUrlOptions::default().with_query([("uploads", ""), ("prefix", at.as_ref())]);
        let whole = Key::default();
        let url = self.signer().signed_url_opts(Method::GET, &whole, LIFE, &query).await?;
        let mut request = HttpRequest::new(HttpRequestBody::empty());
        *request.uri_mut() = url.as_str().parse().map_err(|_| StorageError::Listing)?;
        let answer = self.http.execute(request).await.map_err(StorageError::Unreachable)?;
        let status = answer.status();
        if matches!(status.as_u16(), 400 | 403 | 404 | 405 | 501) {
            tracing::debug!(%status, "this bucket does not list unfinished uploads");
            return Ok(None);
        }
        if !status.is_success() {
            return Err(StorageError::Listing);
        }
        let body = answer.into_body().bytes().await.map_err(StorageError::Unreachable)?;
        quick_xml::de::from_reader(&body[..]).map(Some).map_err(|_| StorageError::Listing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listing_is_read_as_servers_write_it() {
        let text = r#"<?xml version="1.0" encoding="UTF-8"?>
            <ListMultipartUploadsResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">
              <Bucket>media</Bucket><KeyMarker></KeyMarker><IsTruncated>true</IsTruncated>
              <Upload><Key>a/1/b &amp; c.mp4</Key><UploadId>one</UploadId>
                <Initiator><ID>x</ID></Initiator><StorageClass>STANDARD</StorageClass></Upload>
              <Upload><Key>a/1/d.mp4</Key><UploadId>two</UploadId></Upload>
            </ListMultipartUploadsResult>"#;
        let listing: Listing = quick_xml::de::from_str(text).expect("a listing");
        let found: Vec<_> =
            listing.uploads.iter().map(|it| (it.key.as_str(), it.upload_id.as_str())).collect();
        assert_eq!(found, [("a/1/b & c.mp4", "one"), ("a/1/d.mp4", "two")]);
        assert!(listing.is_truncated);
        let none = "<ListMultipartUploadsResult><IsTruncated>false</IsTruncated></ListMultipartUploadsResult>";
        let listing: Listing = quick_xml::de::from_str(none).expect("a listing");
        assert!(listing.uploads.is_empty() && !listing.is_truncated);
    }
}
