//! Objects in users' own buckets: `s3://bucket/key`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::id::{ConnectionId, JobId};

/// The longest key of an object, in bytes.
const MAX_KEY_BYTES: usize = 1024;

/// An object in a bucket, or a folder of it when the key ends with a slash.
///
/// The text is taken as it is, as S3's own tools do: nothing in it is percent-decoded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ObjectUrl {
    bucket: String,
    key: String,
}

/// Why a text names no object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum ObjectError {
    #[error("it does not begin with s3://")]
    Scheme,
    #[error("the bucket's name is not one")]
    Bucket,
    #[error("the key is empty, longer than 1024 bytes, or has empty, `.` or `..` segments")]
    Key,
}

impl ObjectUrl {
    /// The bucket's name.
    #[must_use]
    pub fn bucket(&self) -> &str {
        &self.bucket
    }

    /// The key, without a slash in front.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Whether it names a folder and leaves the names below it to us.
    #[must_use]
    pub fn is_folder(&self) -> bool {
        self.key.ends_with('/') || self.key.is_empty()
    }

    /// Where the first file of `job`, called `name`, goes: the object itself, or below the
    /// folder, where each job has a folder of its own.
    #[must_use]
    pub fn place(&self, job: JobId, name: &str) -> Self {
        let key =
            if self.is_folder() { format!("{}{job}/{name}", self.key) } else { self.key.clone() };
        Self { bucket: self.bucket.clone(), key }
    }

    /// Where another file of the same job goes: beside the first, so that it can be named from
    /// there.
    #[must_use]
    pub fn place_beside(&self, job: JobId, name: &str) -> Self {
        let first = self.place(job, name).key;
        let key = match first.rsplit_once('/') {
            Some((folder, _)) if !self.is_folder() => format!("{folder}/{name}"),
            None if !self.is_folder() => name.to_owned(),
            _ => first,
        };
        Self { bucket: self.bucket.clone(), key }
    }
}

impl FromStr for ObjectUrl {
    type Err = ObjectError;

    fn from_str(text: &str) -> Result<Self, ObjectError> {
        let (scheme, rest) = text.split_once("://").ok_or(ObjectError::Scheme)?;
        if !scheme.eq_ignore_ascii_case("s3") {
            return Err(ObjectError::Scheme);
        }
        let (bucket, key) = rest.split_once('/').unwrap_or((rest, ""));
        if !is_bucket(bucket) {
            return Err(ObjectError::Bucket);
        }
        let segments = key.strip_suffix('/').unwrap_or(key).split('/');
        let is_plain = |segment: &str| !matches!(segment, "" | "." | "..");
        let is_key = key.len() <= MAX_KEY_BYTES
            && !key.contains(char::is_control)
            && (key.is_empty() || segments.into_iter().all(is_plain));
        if !is_key {
            return Err(ObjectError::Key);
        }
        Ok(Self { bucket: bucket.to_owned(), key: key.to_owned() })
    }
}

/// A name that can stand in a host or a path without being anything else there.
fn is_bucket(name: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    (1..=255).contains(&name.len())
        && name.bytes().all(is_plain)
        && name.bytes().next().is_some_and(|first| first.is_ascii_alphanumeric())
        && !name.contains("..")
}

impl fmt::Display for ObjectUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s3://{}/{}", self.bucket, self.key)
    }
}

impl TryFrom<String> for ObjectUrl {
    type Error = ObjectError;

    fn try_from(text: String) -> Result<Self, ObjectError> {
        text.parse()
    }
}

impl From<ObjectUrl> for String {
    fn from(object: ObjectUrl) -> Self {
        object.to_string()
    }
}

/// How a job reaches buckets of its user's own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Via {
    /// The keys to the buckets.
    pub connection_id: ConnectionId,
    /// Where the outputs go; without it into the server's storage.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<ObjectUrl>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;
    use crate::id::fresh;

    fn read(text: &str) -> Result<ObjectUrl, ObjectError> {
        text.parse()
    }

    #[test]
    fn an_object_is_read_as_it_is_written() {
        for text in ["s3://media/a/b c.mp4", "s3://media/é%20?#.mp4", "s3://my.bucket-1/folder/"] {
            assert_eq!(read(text).map(String::from).as_deref(), Ok(text));
        }
        assert_eq!(read("S3://media").map(String::from).as_deref(), Ok("s3://media/"));
    }

    #[test]
    fn what_could_lead_elsewhere_is_no_object() {
        use ObjectError::{Bucket, Key, Scheme};
        for (text, wrong) in [
            ("https://media/a", Scheme),
            ("media/a", Scheme),
            ("s3:///a", Bucket),
            ("s3://../a", Bucket),
            ("s3://a..b/c", Bucket),
            ("s3://u:p@media/a", Bucket),
            ("s3://media?x/a", Bucket),
            ("s3://media//a", Key),
            ("s3://media/a//b", Key),
            ("s3://media/a/../b", Key),
            ("s3://media/./b", Key),
            ("s3://media/a\nb", Key),
        ] {
            assert_eq!(read(text), Err(wrong), "{text}");
        }
        assert_eq!(read(&format!("s3://media/{}", "a".repeat(1025))), Err(Key));
    }

    #[test]
    fn a_folder_gets_a_folder_for_each_job_and_an_object_is_taken_as_it_is() {
        let job: JobId = fresh(Timestamp::from_millis(1));
        let place = |text: &str| read(text).expect("an object").place(job, "video.mp4").to_string();
        assert_eq!(place("s3://media/made/film.mp4"), "s3://media/made/film.mp4");
        assert_eq!(place("s3://media/made/"), format!("s3://media/made/{job}/video.mp4"));
        assert_eq!(place("s3://media"), format!("s3://media/{job}/video.mp4"));
    }

    #[test]
    fn what_a_job_makes_more_of_goes_beside_the_first() {
        let job: JobId = fresh(Timestamp::from_millis(1));
        let beside =
            |text: &str| read(text).expect("an object").place_beside(job, "720p.mp4").to_string();
        assert_eq!(beside("s3://media/made/film.m3u8"), "s3://media/made/720p.mp4");
        assert_eq!(beside("s3://media/film.m3u8"), "s3://media/720p.mp4");
        assert_eq!(beside("s3://media/made/"), format!("s3://media/made/{job}/720p.mp4"));
        assert_eq!(beside("s3://media"), format!("s3://media/{job}/720p.mp4"));
    }
}
