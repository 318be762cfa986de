"""Questions of a counselling chat: read, classified, reported, mailed, published back."""
