//! A valid request for a job.

use std::fmt;

use serde_json::{Map, Value};
use url::Url;

use super::{ObjectUrl, Options, Priority, Via};
use crate::id::UploadId;

/// What was asked, with nothing left that could be wrong in itself.
#[derive(Clone, Debug, PartialEq)]
pub struct JobSpec {
    /// Where the media is.
    pub input: InputUrl,
    /// What to make of it.
    pub options: Options,
    /// The options as they were sent: shown unchanged, defaults not filled in.
    pub raw_options: Map<String, Value>,
    /// The caller's own words, returned unchanged; at most 16 KiB.
    pub metadata: Map<String, Value>,
    /// Where the end of the job is pushed to.
    pub webhook_url: Option<Url>,
    /// How urgent it is.
    pub priority: Priority,
    /// The user's own buckets, when input or outputs are there.
    pub via: Option<Via>,
}

impl JobSpec {
    /// Whether both are made of the same bytes from end to end, and can be by one process.
    #[must_use]
    pub fn can_be_made_with(&self, other: &Self) -> bool {
        let keys = |spec: &Self| spec.via.as_ref().map(|via| via.connection_id);
        self.options.spans_input()
            && other.options.spans_input()
            && self.input == other.input
            && keys(self) == keys(other)
    }
}

/// An `http`, `https` or `s3` URL, with the text as it was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InputUrl {
    text: String,
    url: Url,
    kept: Option<Kept>,
}

/// A file that is here already: its URL is only its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kept {
    /// Uploaded by who sends the job.
    Upload(UploadId),
    /// The output of another job, by its key in storage.
    Output(String),
}

/// Why a text cannot be an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum InputError {
    #[error("this is not a URL")]
    NotAUrl,
    #[error("only http, https and s3 URLs can be fetched")]
    Scheme,
    #[error("an object in a bucket is written s3://bucket/key")]
    Object,
    #[error("a URL must not hold a user name or password")]
    UserInfo,
    #[error("a URL must not hold spaces, control characters or backslashes")]
    Characters,
    #[error("a URL is at most 8192 characters long")]
    TooLong,
}

impl InputUrl {
    /// The longest URL in bytes.
    pub const MAX_LEN: usize = 8192;

    /// Reads a URL as it was sent.
    ///
    /// The address guard has the last word when the URL is fetched; what is refused here could
    /// never pass it (`reliability.md` section 4: raw backslashes, control characters, userinfo).
    ///
    /// # Errors
    ///
    /// See [`InputError`].
    pub fn parse(text: &str) -> Result<Self, InputError> {
        if text.len() > Self::MAX_LEN {
            return Err(InputError::TooLong);
        }
        if text.get(..5).is_some_and(|scheme| scheme.eq_ignore_ascii_case("s3://")) {
            return Self::parse_object(text);
        }
        if text.contains(|c: char| c.is_control() || c.is_whitespace() || c == '\\') {
            return Err(InputError::Characters);
        }
        let url = Url::parse(text).map_err(|_| InputError::NotAUrl)?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(InputError::Scheme);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(InputError::UserInfo);
        }
        // Browsers read `http:example.com` too; whoever sends it means a path, or mischief.
        if !text[url.scheme().len()..].starts_with("://") {
            return Err(InputError::NotAUrl);
        }
        Ok(Self { text: text.to_owned(), url, kept: None })
    }

    /// The key of an object is taken as it is; the URL beside it only has its scheme for use.
    fn parse_object(text: &str) -> Result<Self, InputError> {
        let object: ObjectUrl = text.parse().map_err(|_| InputError::Object)?;
        if object.is_folder() {
            return Err(InputError::Object);
        }
        let url = Url::parse(text).map_err(|_| InputError::NotAUrl)?;
        Ok(Self { text: text.to_owned(), url, kept: None })
    }

    /// The object in a bucket that it names, if it does.
    #[must_use]
    pub fn object(&self) -> Option<ObjectUrl> {
        self.text.parse().ok()
    }

    /// The same, known to name a file that is here already.
    #[must_use]
    pub fn keeping(self, kept: Kept) -> Self {
        Self { kept: Some(kept), ..self }
    }

    /// The file that is here already, if it names one.
    #[must_use]
    pub const fn kept(&self) -> Option<&Kept> {
        self.kept.as_ref()
    }

    /// The text as it was sent.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The parsed URL.
    #[must_use]
    pub const fn url(&self) -> &Url {
        &self.url
    }
}

impl fmt::Display for InputUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_has_a_scheme_two_slashes_and_a_host() {
        let read = |text| InputUrl::parse(text).map(|url| url.as_str().to_owned());
        for text in ["http://example.com/a.mp4", "HTTPS://example.com", "http://[2606:4700::1]/"] {
            assert_eq!(read(text).as_deref(), Ok(text));
        }
        for text in ["http:example.com/", "https:/example.com/", "http://", "example.com/a.mp4"] {
            assert_eq!(read(text), Err(InputError::NotAUrl), "{text}");
        }
    }
}
