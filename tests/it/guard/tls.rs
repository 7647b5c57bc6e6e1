//! Certificates, good and bad.

use std::sync::Arc;

use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::PrivatePkcs8KeyDer;
use tokio_rustls::TlsAcceptor;

/// What a server shows.
#[derive(Clone, Copy)]
pub(super) enum Certificate {
    /// One for `public.example` that the client trusts.
    Good,
    /// One for another host that the client trusts.
    OfAnotherHost,
    /// One whose time is over.
    Expired,
    /// One that the client does not know.
    Unknown,
}

/// A server's side of it, and whom the client trusts.
pub(super) fn acceptor(certificate: Certificate) -> (TlsAcceptor, rustls::RootCertStore) {
    let host = match certificate {
        Certificate::OfAnotherHost => "other.example",
        _ => "public.example",
    };
    let mut params = CertificateParams::new([host.to_owned()]).expect("a host");
    if matches!(certificate, Certificate::Expired) {
        params.not_before = rcgen::date_time_ymd(2000, 1, 1);
        params.not_after = rcgen::date_time_ymd(2001, 1, 1);
    }
    let key = KeyPair::generate().expect("a key");
    let made = params.self_signed(&key).expect("a certificate");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(
            vec![made.der().clone()],
            PrivatePkcs8KeyDer::from(key.serialize_der()).into(),
        )
        .expect("a key for the certificate");
    let mut roots = rustls::RootCertStore::empty();
    if !matches!(certificate, Certificate::Unknown) {
        roots.add(made.der().clone()).expect("a certificate");
    }
    (TlsAcceptor::from(Arc::new(config)), roots)
}
