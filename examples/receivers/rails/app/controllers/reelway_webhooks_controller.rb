# Takes Reelway's webhooks: checks who sent them, keeps each event once, answers at once.
class ReelwayWebhooksController < ActionController::API
  def create
    return render plain: "the signature does not hold", status: :unauthorized unless signed?

    # The same event may come twice; the second one is refused by the primary key.
    WebhookEvent.create!(id: request.headers["webhook-id"], body: JSON.parse(request.raw_post))
    # What follows from it is done by whoever reads the rows that nobody has handled.
    render plain: "stored"
  rescue ActiveRecord::RecordNotUnique
    render plain: "seen before"
  end

  private

  def signed?
    WebhookSignature.holds?(
      ENV.fetch("REELWAY_WEBHOOK_SECRET"),
      id: request.headers["webhook-id"],
      timestamp: request.headers["webhook-timestamp"],
      signatures: request.headers["webhook-signature"],
      body: request.raw_post
    )
  end
end
