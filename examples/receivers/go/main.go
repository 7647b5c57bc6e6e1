// Takes Reelway's webhooks: checks who sent them, keeps each event once, answers at once.
package main

import (
	"database/sql"
	"io"
	"log"
	"net/http"
	"os"

	_ "github.com/lib/pq"
)

// A webhook is a job and its stages; this is far more than one has.
const maxBody = 1 << 20

func main() {
	secret := os.Getenv("REELWAY_WEBHOOK_SECRET")
	key, err := signingKey(secret)
	if err != nil || len(key) == 0 {
		log.Fatal("REELWAY_WEBHOOK_SECRET is missing or not base64 after whsec_")
	}
	db, err := sql.Open("postgres", os.Getenv("DATABASE_URL"))
	if err != nil {
		log.Fatal(err)
	}
	port := os.Getenv("PORT")
	if port == "" {
		port = "8080"
	}
	http.HandleFunc("/webhooks/reelway", receiver(key, db))
	log.Fatal(http.ListenAndServe("127.0.0.1:"+port, nil))
}

func receiver(key []byte, db *sql.DB) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
		if err != nil {
			http.Error(w, "the body could not be read", http.StatusBadRequest)
			return
		}
		if r.Method != http.MethodPost || !isSigned(key, r.Header, body) {
			http.Error(w, "the signature does not hold", http.StatusUnauthorized)
			return
		}
		// The same event may come twice; the primary key lets it in once.
		result, err := db.ExecContext(r.Context(),
			"insert into webhook_events (id, body) values ($1, $2) on conflict (id) do nothing",
			r.Header.Get("webhook-id"), string(body))
		if err != nil {
			log.Print(err)
			http.Error(w, "not stored", http.StatusInternalServerError)
			return
		}
		// What follows from it is done by whoever reads the rows that nobody has handled.
		answer := "seen before"
		if stored, _ := result.RowsAffected(); stored == 1 {
			answer = "stored"
		}
		io.WriteString(w, answer)
	}
}
