"""WHAT HAPPENED: durable memory of heads, floors, loads and receipts."""
