//! Why a request that went out has no answer, in words that are safe to show.

use std::error::Error;
use std::io;

use rustls::CertificateError;

/// Why a request that went out has no answer.
///
/// The texts are for people and name no address. The sources are for the log.
#[derive(Debug, thiserror::Error)]
pub enum OutboundError {
    /// The URL is none that is ever asked for.
    #[error("{0}")]
    InvalidUrl(#[from] UrlProblem),
    /// The guard does not let the address through.
    #[error("the URL leads to an address that this server does not reach")]
    BlockedAddress,
    /// The guard does not let the port through.
    #[error("the URL leads to a port other than 80, 443, 8080 and 8443")]
    BlockedPort,
    /// The host's name has no address, or nobody said so in time.
    #[error("the host's name could not be resolved")]
    Dns(#[source] io::Error),
    /// Nothing listens there.
    #[error("no connection could be made")]
    Connect(#[source] reqwest::Error),
    /// Something listens there that is not who it should be.
    #[error("no secure connection could be made: {problem}")]
    Tls {
        /// What is wrong, as far as it can be told.
        problem: TlsProblem,
        /// The whole story.
        #[source]
        source: reqwest::Error,
    },
    /// Too slow.
    #[error("the server took too long to answer")]
    Timeout,
    /// The connection broke in the middle.
    #[error("the server broke off the connection")]
    Reset(#[source] reqwest::Error),
    /// One redirect more than are followed.
    #[error("the URL is redirected more than 5 times")]
    TooManyRedirects,
    /// A redirect that gives up what TLS gave.
    #[error("the URL is redirected from https to http")]
    RedirectDowngrade,
    /// What came back is not HTTP, or more of it than anybody needs.
    #[error("the server's answer is not valid HTTP")]
    Protocol(#[source] reqwest::Error),
    /// The answer is larger than any that is expected.
    #[error("the server's answer is too large")]
    TooLarge,
    /// The request could not be built.
    #[error("the request could not be made")]
    Request(#[source] reqwest::Error),
}

/// Why a URL is none that is ever asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum UrlProblem {
    #[error("this is not a URL")]
    NotAUrl,
    #[error("only http and https URLs are fetched")]
    Scheme,
    #[error("a URL must not hold a user name or password")]
    UserInfo,
    #[error("a URL must not hold spaces, control characters or backslashes")]
    Characters,
    #[error("the URL is too long")]
    TooLong,
}

/// What is wrong with the other end's TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum TlsProblem {
    #[error("the server's certificate has expired")]
    Expired,
    #[error("the server's certificate is not valid for this host")]
    WrongHost,
    #[error("the server's certificate is not signed by a known authority")]
    UnknownAuthority,
    #[error("the handshake failed")]
    Handshake,
}

impl OutboundError {
    /// The error's stable class, as in the delivery log.
    #[must_use]
    pub const fn class(&self) -> &'static str {
        match self {
            Self::InvalidUrl(_) => "invalid_url",
            Self::BlockedAddress | Self::BlockedPort => "blocked_address",
            Self::Dns(_) => "dns",
            Self::Connect(_) => "connect",
            Self::Tls { .. } => "tls",
            Self::Timeout => "timeout",
            Self::Reset(_) => "reset",
            Self::TooManyRedirects => "too_many_redirects",
            Self::RedirectDowngrade => "redirect_downgrade",
            Self::Protocol(_) | Self::TooLarge | Self::Request(_) => "protocol",
        }
    }
}

impl From<reqwest::Error> for OutboundError {
    /// Sorts by the innermost cause that is known: the client's own classes tell too little.
    fn from(error: reqwest::Error) -> Self {
        // The query of a URL may hold a key.
        let error = error.without_url();
        if error.is_builder() {
            return Self::Request(error);
        }
        if let Some(tls) = find::<rustls::Error>(&error) {
            let problem = tls_problem(tls);
            return Self::Tls { problem, source: error };
        }
        let io = find::<io::Error>(&error).map(io::Error::kind);
        if error.is_timeout() || io == Some(io::ErrorKind::TimedOut) {
            return Self::Timeout;
        }
        if error.is_connect() {
            return Self::Connect(error);
        }
        let is_nonsense = find::<hyper::Error>(&error).is_some_and(hyper::Error::is_parse)
            || matches!(io, Some(io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput));
        if is_nonsense { Self::Protocol(error) } else { Self::Reset(error) }
    }
}

fn tls_problem(error: &rustls::Error) -> TlsProblem {
    let rustls::Error::InvalidCertificate(certificate) = error else {
        return TlsProblem::Handshake;
    };
    match certificate {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => TlsProblem::Expired,
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            TlsProblem::WrongHost
        }
        CertificateError::UnknownIssuer => TlsProblem::UnknownAuthority,
        _ => TlsProblem::Handshake,
    }
}

/// The first `E` among the causes of `error`. An I/O error hides the error that it wraps from
/// `source`, so it is asked for that one as well.
fn find<'a, E: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a E> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<E>() {
            return Some(found);
        }
        next = match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(wrapped) => Some(wrapped),
            None => error.source(),
        };
    }
    None
}
