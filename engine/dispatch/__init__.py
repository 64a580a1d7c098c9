"""Dispatch by offers: drivers nearby are asked, and the first who accepts has the delivery."""
