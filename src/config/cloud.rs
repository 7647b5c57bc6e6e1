//! Where outputs are kept, and the clouds' own variables: named as their own tools name them.

use std::path::PathBuf;

use url::Url;

use super::parse::Reader;
use super::sources::Sources;
use super::{Problem, Storage};
use crate::output::{Bucket, BucketSettings, Cloud};

/// One of the clouds' own variables.
#[derive(Debug)]
pub struct Variable {
    /// Its name in the environment; it is neither a flag nor a key of the file.
    pub name: &'static str,
    /// What it says.
    pub help: &'static str,
    /// Whether its value is shown to nobody who did not ask.
    pub secret: bool,
}

macro_rules! variables {
    ($($name:literal, $help:literal $(, $secret:ident)?;)+) => {
        /// Every variable of a cloud that is looked at, when storage is a bucket of that cloud.
        pub const CLOUD_VARIABLES: &[Variable] = &[$(Variable {
            name: $name,
            help: $help,
            secret: variables!(@secret $($secret)?),
        }),+];
    };
    (@secret secret) => { true };
    (@secret) => { false };
}

variables! {
    "AWS_ACCESS_KEY_ID", "Whose key it is; without one the machine's role is asked for";
    "AWS_SECRET_ACCESS_KEY", "The key", secret;
    "AWS_SESSION_TOKEN", "Goes with keys that are lent for a while", secret;
    "AWS_REGION", "The region; us-east-1 when nobody says, `auto` for R2";
    "AWS_DEFAULT_REGION", "The same, when AWS_REGION is not set";
    "AWS_ENDPOINT_URL_S3", "The server, when it is not Amazon's: R2, MinIO, Railway, …";
    "AWS_ENDPOINT_URL", "The same, when AWS_ENDPOINT_URL_S3 is not set";
    "AWS_ALLOW_HTTP", "`true` lets the endpoint be http: for servers on this machine";
    "AWS_VIRTUAL_HOSTED_STYLE_REQUEST", "`true` when the endpoint has the bucket's name in its host";
    "AWS_CONDITIONAL_PUT", "`disabled` for servers that do not know If-None-Match";
    "AWS_DISABLE_BULK_DELETE", "`true` for servers that delete one object at a time";
    "AWS_SERVER_SIDE_ENCRYPTION", "`sse-kms` and the like, when the bucket asks for it";
    "AWS_SSE_KMS_KEY_ID", "The key for it";
    "AWS_WEB_IDENTITY_TOKEN_FILE", "Set by Kubernetes for a service account with a role";
    "AWS_ROLE_ARN", "The role";
    "AWS_ROLE_SESSION_NAME", "The role's session";
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "Set by ECS for a task with a role";
    "AWS_CONTAINER_CREDENTIALS_FULL_URI", "Set by EKS for a pod with a role";
    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "Goes with it";
    "GOOGLE_SERVICE_ACCOUNT", "The file with the service account's key";
    "GOOGLE_SERVICE_ACCOUNT_KEY", "The service account's key itself, JSON", secret;
    "GOOGLE_APPLICATION_CREDENTIALS", "The file with other credentials";
    "GOOGLE_BASE_URL", "The server, when it is not Google's";
    "GOOGLE_ALLOW_HTTP", "`true` lets the server be http: for emulators on this machine";
    "AZURE_STORAGE_ACCOUNT_NAME", "The storage account";
    "AZURE_STORAGE_ACCOUNT_KEY", "Its key", secret;
    "AZURE_STORAGE_SAS_TOKEN", "A token in the place of the key", secret;
    "AZURE_STORAGE_CLIENT_ID", "The application, in the place of the key";
    "AZURE_STORAGE_CLIENT_SECRET", "The application's secret", secret;
    "AZURE_STORAGE_TENANT_ID", "The application's tenant";
    "AZURE_FEDERATED_TOKEN_FILE", "Set by Kubernetes for a workload identity";
    "AZURE_STORAGE_ENDPOINT", "The server, when it is not Azure's";
    "AZURE_ALLOW_HTTP", "`true` lets the server be http: for emulators on this machine";
}

/// What `REELWAY_STORAGE` says by itself.
pub(super) enum Place {
    Folder(PathBuf),
    Bucket { cloud: Cloud, name: String, prefix: String },
}

/// Reads a storage URL.
pub(super) fn place(text: &str) -> Result<Place, String> {
    let shape = "it is a URL such as file:///var/lib/reelway/files or s3://bucket/prefix";
    let (scheme, rest) = text.split_once("://").ok_or(shape)?;
    let cloud = match scheme {
        "file" => return Ok(Place::Folder(PathBuf::from(rest))),
        "s3" => Cloud::S3,
        "gs" => Cloud::Gcs,
        "az" => Cloud::Azure,
        _ => return Err(format!("outputs are kept in file:, s3:, gs: or az:, not in {scheme}:")),
    };
    let (name, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    let is_name = !name.is_empty()
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
    let prefix = prefix.trim_matches('/');
    let is_prefix =
        prefix.is_empty() || prefix.split('/').all(|part| !matches!(part, "" | "." | ".."));
    if !is_name || !is_prefix {
        return Err(format!("`{text}` is not a bucket such as {scheme}://bucket/prefix"));
    }
    Ok(Place::Bucket { cloud, name: name.to_owned(), prefix: prefix.to_owned() })
}

/// A bucket with its cloud's variables; what does not fit together is told.
pub(super) fn bucket(
    cloud: Cloud,
    name: String,
    prefix: String,
    read: &mut Reader<'_>,
) -> Option<Storage> {
    let variables = Variables { sources: read.sources, cloud };
    let mut problems = match cloud {
        Cloud::S3 => s3_problems(&variables),
        Cloud::Gcs => Vec::new(),
        Cloud::Azure => azure_problems(&variables),
    };
    let settings = BucketSettings { cloud, name, prefix, options: variables.options() };
    if problems.is_empty()
        && let Err(error) = Bucket::open(&settings)
    {
        let error = anyhow::Error::from(error);
        problems.push(problem("REELWAY_STORAGE", format!("{:#}", error.root_cause()), None));
    }
    let is_sound = problems.is_empty();
    for problem in problems {
        read.problems.add(problem);
    }
    is_sound.then_some(Storage::Bucket(settings))
}

struct Variables<'a> {
    sources: &'a Sources,
    cloud: Cloud,
}

impl Variables<'_> {
    fn get(&self, name: &str) -> Option<&str> {
        self.sources.cloud.get(name).map(String::as_str)
    }

    fn options(&self) -> Vec<(String, secrecy::SecretString)> {
        let family = match self.cloud {
            Cloud::S3 => "AWS_",
            Cloud::Gcs => "GOOGLE_",
            Cloud::Azure => "AZURE_",
        };
        let ours = self.sources.cloud.iter().filter(|(name, _)| name.starts_with(family));
        // One endpoint: the more exact variable wins, whatever the library makes of both.
        let ours = ours.filter(|(name, _)| {
            **name != "AWS_ENDPOINT_URL" || self.get("AWS_ENDPOINT_URL_S3").is_none()
        });
        ours.map(|(name, value)| (name.to_ascii_lowercase(), value.clone().into())).collect()
    }
}

fn s3_problems(variables: &Variables<'_>) -> Vec<Problem> {
    let mut problems = Vec::new();
    let (id, key) = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY");
    match (variables.get(id), variables.get(key)) {
        (Some(_), None) => problems.push(problem(key, format!("it is needed beside {id}"), None)),
        (None, Some(_)) => problems.push(problem(id, format!("it is needed beside {key}"), None)),
        (Some(_), Some(_)) | (None, None) => {}
    }
    let endpoint = ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"]
        .into_iter()
        .find_map(|name| Some((name, variables.get(name)?)));
    if let Some((name, text)) = endpoint {
        let is_http_allowed = variables.get("AWS_ALLOW_HTTP") == Some("true");
        match Url::parse(text).ok().filter(Url::has_host) {
            Some(url) if url.scheme() == "https" => {}
            Some(url) if url.scheme() == "http" && is_http_allowed => {}
            Some(url) if url.scheme() == "http" => problems.push(problem(
                name,
                "it is http, which anyone on the way can read".to_owned(),
                Some("set AWS_ALLOW_HTTP=true if the server is on this machine or network"),
            )),
            _ => problems.push(problem(
                name,
                format!("`{text}` is not a URL such as https://s3.example.com"),
                None,
            )),
        }
    }
    problems
}

fn azure_problems(variables: &Variables<'_>) -> Vec<Problem> {
    let name = "AZURE_STORAGE_ACCOUNT_NAME";
    if variables.get(name).is_some() {
        return Vec::new();
    }
    vec![problem(name, "az: storage needs it".to_owned(), None)]
}

fn problem(subject: &str, message: String, hint: Option<&str>) -> Problem {
    Problem { subject: subject.to_owned(), message, hint: hint.map(str::to_owned) }
}
