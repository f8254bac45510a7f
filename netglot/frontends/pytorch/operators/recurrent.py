"""LSTM, GRU and plain recurrent layers and cells."""
