//! Requests to a stranger's bucket: the object store's words, over the guarded client.

use std::time::Duration;

use async_trait::async_trait;
use http_body_util::BodyExt as _;
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpService,
};
use url::Url;

use crate::outbound::{Call, Client, OutboundError, UrlProblem};

/// How long one request may take, a part of a file included.
const TIMEOUT: Duration = Duration::from_mins(1);

/// Makes the object store go through the guard: every request's address is checked anew, and no
/// redirect is followed.
#[derive(Clone, Debug)]
pub(super) struct Guarded(pub(super) Client);

impl HttpConnector for Guarded {
    fn connect(&self, _options: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(self.clone()))
    }
}

#[async_trait]
impl HttpService for Guarded {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let (parts, body) = request.into_parts();
        let url = Url::parse(&parts.uri.to_string())
            .map_err(|_| failed(OutboundError::from(UrlProblem::NotAUrl)))?;
        let body = body.collect().await?.to_bytes();
        let call = Call { method: parts.method, url, headers: parts.headers, body };
        let answer = self.0.call(call, TIMEOUT).await.map_err(failed)?;
        let mut response = HttpResponse::new(answer.body.into());
        *response.status_mut() = answer.status;
        *response.headers_mut() = answer.headers;
        Ok(response)
    }
}

/// What the object store makes of an error: connections are tried again, refusals are not.
fn failed(error: OutboundError) -> HttpError {
    let kind = match &error {
        OutboundError::Dns(_) | OutboundError::Connect(_) => HttpErrorKind::Connect,
        OutboundError::Timeout => HttpErrorKind::Timeout,
        OutboundError::Reset(_) => HttpErrorKind::Interrupted,
        OutboundError::InvalidUrl(_)
        | OutboundError::BlockedAddress
        | OutboundError::BlockedPort
        | OutboundError::Tls { .. }
        | OutboundError::TooManyRedirects
        | OutboundError::RedirectDowngrade
        | OutboundError::Protocol(_)
        | OutboundError::TooLarge
        | OutboundError::Request(_) => HttpErrorKind::Unknown,
    };
    HttpError::new(kind, error)
}
