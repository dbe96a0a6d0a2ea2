package worker

import (
	"context"

	"github.com/tagboat/tagboat/internal/cluster"
)

// decrypted are the objects as a cluster gets them, and the target that says which of
// them nobody may read. They live as long as the apply or its dry run: what is hashed,
// shown, judged and kept is what stands in Git.
func (w *Worker) decrypted(ctx context.Context, t cluster.Target, objects []cluster.Object) (cluster.Target, []cluster.Object, error) {
	plain, secret, err := w.SOPS.Decrypt(ctx, objects)
	if err != nil {
		return t, nil, err
	}
	t.Secret = secret
	return t, plain, cluster.CheckDecrypted(secret)
}
