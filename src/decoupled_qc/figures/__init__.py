"""The paper's figures, one module each: tables and volumes in, a drawing out."""
