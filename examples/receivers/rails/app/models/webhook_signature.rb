require "base64"
require "openssl"

# Whether a webhook comes from somebody who knows the secret (Standard Webhooks 1.0).
module WebhookSignature
  TOLERANCE_SECS = 300

  # Takes the raw bytes of the body, before any JSON is parsed.
  def self.holds?(secret, id:, timestamp:, signatures:, body:)
    return false if id.to_s.empty? || !timestamp.to_s.match?(/\A[0-9]{1,12}\z/)
    return false if (Time.now.to_i - timestamp.to_i).abs > TOLERANCE_SECS

    mac = OpenSSL::HMAC.digest("SHA256", key(secret), "#{id}.#{timestamp}.".b + body.b)
    expected = "v1,#{Base64.strict_encode64(mac)}"
    # There are several while the secret is being replaced; other versions match nothing.
    signatures.to_s.split(" ").any? { |given| OpenSSL.secure_compare(expected, given) }
  end

  def self.key(secret)
    secret.start_with?("whsec_") ? Base64.strict_decode64(secret.delete_prefix("whsec_")) : secret
  end
end
