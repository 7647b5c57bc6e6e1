class CreateWebhookEvents < ActiveRecord::Migration[7.1]
  def change
    create_table :webhook_events, id: :string do |t|
      t.json :body, null: false
      t.datetime :handled_at
      t.timestamps
    end
  end
end
