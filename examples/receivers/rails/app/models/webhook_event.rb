# An event as it came; the primary key lets it in once.
class WebhookEvent < ApplicationRecord
end
