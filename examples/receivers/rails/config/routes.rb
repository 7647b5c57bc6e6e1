Rails.application.routes.draw do
  post "/webhooks/reelway", to: "reelway_webhooks#create"
end
