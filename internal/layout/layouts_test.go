package layout

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tapedeck/internal/market"
)

// told writes an entry as a line.
func told(e *market.Entry) string {
	switch e.Kind {
	case market.KindBar:
		s := fmt.Sprintf("%s %s %s %s %s %s %s v%s", e.Symbol, e.Ref, e.Event, e.Price, e.Size, e.Ask, e.AskSize, e.Text)
		if e.ID != 0 {
			s += fmt.Sprintf(" n%d", e.ID)
		}
		return s
	case market.KindQuote:
		s := fmt.Sprintf("%s %s %s×%s %s×%s", e.Symbol, e.Event, e.Price, e.Size, e.Ask, e.AskSize)
		if e.Exchange+e.AskFrom+e.Conditions != "" {
			s += " " + e.Exchange + "/" + e.AskFrom + "/" + e.Conditions
		}
		return s
	default:
	}
	s := fmt.Sprintf("%s %s %s×%s", e.Symbol, e.Event, e.Price, e.Size)
	s += [...]string{"", " buy", " sell"}[e.Side]
	if e.ID != 0 {
		s += fmt.Sprintf(" #%d", e.ID)
	}
	if e.Ref != "" {
		s += " #" + e.Ref
	}
	if e.Exchange+e.Conditions != "" {
		s += " " + e.Exchange + "/" + e.Conditions
	}
	if e.Tape != 0 {
		s += " tape " + string(rune(e.Tape))
	}
	return s
}

// all reads a file to its end.
func all(t testing.TB, r *Reader) (entries []market.Entry, rejects []Reject) {
	t.Helper()
	for {
		var err error
		entries, err = r.Next(entries)
		rejects = append(rejects, r.Rejects()...)
		if errors.Is(err, io.EOF) {
			return entries, rejects
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

func readText(t testing.TB, text string, o Options) (*Reader, []string) {
	t.Helper()
	r, err := Open(bytes.NewReader([]byte(text)), o)
	if err != nil {
		t.Fatal(err)
	}
	entries, rejects := all(t, r)
	var list []string
	for i := range entries {
		list = append(list, told(&entries[i]))
	}
	for i := range rejects {
		list = append(list, rejects[i].Error())
	}
	return r, list
}

func zoneOf(t testing.TB, name string) *time.Location {
	t.Helper()
	zone, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return zone
}

// TestLayouts reads a few rows in the form of each source: what it is called, and what its rows become.
func TestLayouts(t *testing.T) {
	for name, c := range map[string]struct {
		file string // the name, when it matters
		text string
		opt  Options
		want []string // layout and kind first
	}{
		"Yahoo": {
			text: "Date,Open,High,Low,Close,Adj Close,Volume\n2017-10-10,4776.20,4922.10,4765.10,4781.90,2390.95,1597139968\n",
			want: []string{"Yahoo Finance: bars", "IMPORT:X 1d 2017-10-10T00:00:00Z 4776.20 4922.10 4765.10 4781.90 v1597139968"},
		},
		"Yahoo, of an exchange": {
			text: "Date,Open,High,Low,Close,Adj Close,Volume\n2017-10-10,1.0,2,0.5,1.5,1.5,7\n2017-12-11,1,2,.5,1.5,1.5,7\n", opt: Options{Venue: "NASDAQ", Interval: market.Day1()},
			want: []string{"Yahoo Finance: bars", "NASDAQ:X 1d 2017-10-10T04:00:00Z 1.0 2 0.5 1.5 v7", "NASDAQ:X 1d 2017-12-11T05:00:00Z 1 2 0.5 1.5 v7"},
		},
		"yfinance": {
			text: "Price,Close,High,Low,Open,Volume\nTicker,AAPL,AAPL,AAPL,AAPL,AAPL\nDate,,,,,\n2020-01-02,72.7,72.8,71.4,71.7,135480400\n",
			want: []string{"yfinance: bars", "IMPORT:AAPL 1d 2020-01-02T00:00:00Z 71.7 72.8 71.4 72.7 v135480400"},
		},
		"yfinance, two tickers": {
			text: ",Close,Close,High,High,Low,Low,Open,Open,Adj Close,Adj Close\n,AAPL,^GSPC,AAPL,^GSPC,AAPL,^GSPC,AAPL,^GSPC,AAPL,^GSPC\nDate,,,,,,,,,,\n2020-01-02,2,20,3,30,1,10,2,20,9,9\n2020-01-03,,20,,30,,10,,20,,9\n",
			want: []string{
				"yfinance: bars", "IMPORT:AAPL 1d 2020-01-02T00:00:00Z 2 3 1 2 v", "IMPORT:^GSPC 1d 2020-01-02T00:00:00Z 20 30 10 20 v",
				"IMPORT:^GSPC 1d 2020-01-03T00:00:00Z 20 30 10 20 v",
			},
		},
		"yfinance, grouped by ticker": {
			text: "Ticker,MSFT,MSFT,MSFT,MSFT,MSFT\nPrice,Open,High,Low,Close,Volume\nDatetime,,,,,\n2024-01-02 09:30:00-05:00,2,3,1,2,5\n2024-01-02 09:31:00-05:00,2,3,1,2,6\n",
			want: []string{"yfinance: bars", "IMPORT:MSFT 1m 2024-01-02T14:30:00Z 2 3 1 2 v5", "IMPORT:MSFT 1m 2024-01-02T14:31:00Z 2 3 1 2 v6"},
		},
		"Stooq": {
			text: "<TICKER>,<PER>,<DATE>,<TIME>,<OPEN>,<HIGH>,<LOW>,<CLOSE>,<VOL>,<OPENINT>\nAAPL.US,5,20240102,153500,187.1,188.4,183.8,185.6,81964874,0\nAAPL.US,D,20240102,000000,1,1,1,1,0,0\n",
			want: []string{"Stooq: bars", "IMPORT:AAPL.US 5m 2024-01-02T15:35:00Z 187.1 188.4 183.8 185.6 v81964874", "IMPORT:AAPL.US 1d 2024-01-02T00:00:00Z 1 1 1 1 v0"},
		},
		"stooq.pl": {
			text: "Data,Otwarcie,Najwyzszy,Najnizszy,Zamkniecie,Wolumen\n1980-11-03,127.47,129.85,127.23,129.04,19900000\n",
			want: []string{"Stooq (stooq.pl): bars", "IMPORT:X 1d 1980-11-03T00:00:00Z 127.47 129.85 127.23 129.04 v19900000"},
		},
		"TradingView": {
			file: "NASDAQ_AAPL, 60.csv",
			text: "time,open,high,low,close,Volume,Volume MA\n1704205800,187.15,188.44,183.89,185.64,100,7\n1704209400,187.15,188.44,183.89,185.64,100,7\n",
			want: []string{"TradingView: bars", "NASDAQ:AAPL 1h 2024-01-02T14:30:00Z 187.15 188.44 183.89 185.64 v100", "NASDAQ:AAPL 1h 2024-01-02T15:30:00Z 187.15 188.44 183.89 185.64 v100"},
		},
		"Alpaca bars": {
			text: "symbol,timestamp,open,high,low,close,volume,trade_count,vwap\nAAPL,2024-01-02 14:30:00+00:00,187.15,188.44,186.3,187.9,1200.0,42,187.6\nAAPL,2024-01-02 14:31:00+00:00,1,1,1,1,1,1,1\n",
			want: []string{"Alpaca: bars", "IMPORT:AAPL 1m 2024-01-02T14:30:00Z 187.15 188.44 186.3 187.9 v1200.0 n42", "IMPORT:AAPL 1m 2024-01-02T14:31:00Z 1 1 1 1 v1 n1"},
		},
		"Alpaca trades": {
			text: "symbol,timestamp,exchange,price,size,id,conditions,tape\nAAPL,2024-01-02 14:30:00.000000123+00:00,Q,187.15,100,42,\"['@', 'I']\",C\n",
			want: []string{"Alpaca: trades", "IMPORT:AAPL 2024-01-02T14:30:00.000000123Z 187.15×100 #42 Q/@,I tape C"},
		},
		"Alpaca quotes": {
			text: "symbol,timestamp,ask_exchange,ask_price,ask_size,bid_exchange,bid_price,bid_size,conditions,tape\nAAPL,2024-01-02T14:30:00Z,Q,187.2,3,V,187.1,2,['R'],C\n",
			want: []string{"Alpaca: quotes", "IMPORT:AAPL 2024-01-02T14:30:00Z 187.1×2 187.2×3 V/Q/R"},
		},
		"Alpaca stream": {
			text: `{"T":"t","S":"SIM:AAPL","i":1042,"p":187.420,"s":100,"t":"2024-01-02T14:30:00.5Z","x":"V","c":["@","I"],"z":"C","tks":"B","seq":9}` + "\n",
			want: []string{"table of trades: trades", "SIM:AAPL 2024-01-02T14:30:00.5Z 187.420×100 buy #1042 V/@,I tape C"},
		},
		"Binance klines, µs after ms": {
			file: "BTCUSDT-1m-2024-12.csv",
			text: "1735689540000,1.0,3,0.5,2,10.50,1735689599999,21,7,5,10,0\n1735689600000000,2,3,1,2,10,1735689659999999,21,8,5,10,0\n",
			want: []string{"Binance klines: bars", "BINANCE:BTCUSDT 1m 2024-12-31T23:59:00Z 1.0 3 0.5 2 v10.50 n7", "BINANCE:BTCUSDT 1m 2025-01-01T00:00:00Z 2 3 1 2 v10 n8"},
		},
		"Binance trades": {
			file: "BTCUSDT-trades-2024-08-08.zip",
			text: "3735683259,61837.63,0.02,1236.7526,1723161255342,True,True\n3735683260,61837.64,0.02,1236.7526,1723161255343,False,True\n",
			want: []string{"Binance trades: trades", "BINANCE:BTCUSDT 2024-08-08T23:54:15.342Z 61837.63×0.02 sell #3735683259", "BINANCE:BTCUSDT 2024-08-08T23:54:15.343Z 61837.64×0.02 buy #3735683260"},
		},
		"Binance aggTrades": {
			file: "ETHUSDT-aggTrades-2024-08-08.csv",
			text: "26129,0.01633102,4.70443515,27781,27781,1498793709153,true,true\n",
			want: []string{"Binance aggTrades: trades", "BINANCE:ETHUSDT 2017-06-30T03:35:09.153Z 0.01633102×4.70443515 sell #26129"},
		},
		"Binance futures, header": {
			text: "id,price,qty,quote_qty,time,is_buyer_maker\n1,61837.6,0.02,1236.7,1723161255342,false\n",
			want: []string{"Binance trades: trades", "BINANCE:X 2024-08-08T23:54:15.342Z 61837.6×0.02 buy #1"},
		},
		"Binance stream": {
			text: `{"e":"trade","E":1723161255350,"s":"BTCUSDT","t":12345,"p":"0.00100000","q":"100.5","T":1723161255342,"m":true,"M":true}` + "\n",
			want: []string{"table of trades: trades", "IMPORT:BTCUSDT 2024-08-08T23:54:15.342Z 0.00100000×100.5 sell #12345"},
		},
		"Kraken trades": {
			file: "XBTUSD.csv", text: "1381095255,122.00000,0.10000000\n",
			want: []string{"time, price, size (bitcoincharts, Kraken): trades", "IMPORT:XBTUSD 2013-10-06T21:34:15Z 122.00000×0.10000000"},
		},
		"Kraken OHLCVT": {
			file: "XBTUSD_1440.csv", text: "1381017600,122.0,122.0,122.0,122.0,0.1,1\n1381104000,123.61,123.61,123.61,123.61,0.1,1\n",
			want: []string{"Kraken OHLCVT: bars", "KRAKEN:XBTUSD 1d 2013-10-06T00:00:00Z 122.0 122.0 122.0 122.0 v0.1 n1", "KRAKEN:XBTUSD 1d 2013-10-07T00:00:00Z 123.61 123.61 123.61 123.61 v0.1 n1"},
		},
		"Coinbase candles": {
			text: "1704205800,10,40,20,30,5\n1704205860,10,40,30,20,5\n",
			want: []string{"Coinbase candles: bars", "COINBASE:X 1m 2024-01-02T14:30:00Z 20 40 10 30 v5", "COINBASE:X 1m 2024-01-02T14:31:00Z 30 40 10 20 v5"},
		},
		"Coinbase matches": {
			text: `{"type":"match","trade_id":10,"sequence":50,"maker_order_id":"ac92","taker_order_id":"132f","time":"2014-11-07T08:19:27.028459Z","product_id":"BTC-USD","size":"5.23512","price":"400.23","side":"sell"}` + "\n",
			want: []string{"Coinbase: trades", "COINBASE:BTC-USD 2014-11-07T08:19:27.028459Z 400.23×5.23512 buy #10"},
		},
		"Databento trades": {
			text: "ts_recv,ts_event,rtype,publisher_id,instrument_id,action,side,depth,price,size,flags,ts_in_delta,sequence,symbol\n" +
				"1609160400099150057,1609160400098821953,0,1,5482,T,A,0,3720250000000,5,128,19251,1170380,ESH1\n",
			want: []string{"Databento: trades", "IMPORT:ESH1 2020-12-28T13:00:00.098821953Z 3720.250000000×5 sell"},
		},
		"Databento mbp-1": {
			text: "ts_recv,ts_event,rtype,publisher_id,instrument_id,action,side,depth,price,size,flags,ts_in_delta,sequence,bid_px_00,ask_px_00,bid_sz_00,ask_sz_00,symbol\n" +
				"1609160400099150057,1609160400098821953,1,1,5482,T,B,0,3720.250000000,5,128,1,1,3720.00,3720.50,1,2,ESH1\n1609160400099150057,1609160400098821953,1,1,5482,A,B,0,3720.250000000,5,128,1,1,3720.00,3720.50,1,2,ESH1\n",
			want: []string{"Databento: trades", "IMPORT:ESH1 2020-12-28T13:00:00.098821953Z 3720.250000000×5 buy"},
		},
		"Databento mbp-1, its quotes": {
			text: "ts_recv,ts_event,rtype,publisher_id,action,side,price,size,bid_px_00,ask_px_00,bid_sz_00,ask_sz_00,symbol\n1609160400099150057,1609160400098821953,1,1,T,B,3720.25,5,3720.00,3720.50,1,2,ESH1\n",
			opt:  Options{Map: map[string]string{"price": "", "action": ""}},
			want: []string{"Databento: quotes", "IMPORT:ESH1 2020-12-28T13:00:00.098821953Z 3720.00×1 3720.50×2"},
		},
		"Databento ohlcv": {
			text: "ts_event,rtype,publisher_id,instrument_id,open,high,low,close,volume,symbol\n1609160400000000000,33,1,5482,372025000000000,372050000000000,372025000000000,372050000000000,57,ESH1\n",
			want: []string{"Databento: bars", "IMPORT:ESH1 1m 2020-12-28T13:00:00Z 372025.000000000 372050.000000000 372025.000000000 372050.000000000 v57"},
		},
		"tardis trades": {
			text: "exchange,symbol,timestamp,local_timestamp,id,side,price,amount\nbinance,BTCUSDT,1585699200245000,1585699201345000,3047,buy,6424.25,0.5\n",
			want: []string{"tardis.dev: trades", "IMPORT:BTCUSDT 2020-04-01T00:00:00.245Z 6424.25×0.5 buy #3047 binance/"},
		},
		"tardis quotes": {
			text: "exchange,symbol,timestamp,local_timestamp,ask_amount,ask_price,bid_price,bid_amount\nbinance,BTCUSDT,1585699200245000,1585699201345000,1,6424.5,6424.0,\n",
			want: []string{"tardis.dev: quotes", "IMPORT:BTCUSDT 2020-04-01T00:00:00.245Z 6424.0×0 6424.5×1 binance//"},
		},
		"Bybit": {
			text: "timestamp,symbol,side,size,price,tickDirection,trdMatchID,grossValue,homeNotional,foreignNotional\n1585180700.0647,BTCUSDT,Buy,0.042,6698.5,PlusTick,aa-bb,2813,0.042,281.337\n",
			want: []string{"Bybit: trades", "BYBIT:BTCUSDT 2020-03-25T23:58:20.0647Z 6698.5×0.042 buy #aa-bb"},
		},
		"BitMEX": {
			text: "timestamp,symbol,side,size,price,tickDirection,trdMatchID,grossValue,homeNotional,foreignNotional\n2018-12-05D00:00:25.948313000,XBTUSD,Sell,11,9.54e-06,ZeroMinusTick,1d00-1,10494,11,0.00010494\n",
			want: []string{"BitMEX: trades", "BITMEX:XBTUSD 2018-12-05T00:00:25.948313Z 0.00000954×11 sell #1d00-1"},
		},
		"OKX": {
			text: "trade_id/\xb4\xe9\xba\xcf,side/\xbd\xbb,size/\xca\xfd,price/\xbc\xdb,created_time/\xb3\xc9\n77,SELL,1.0,26000.10,1693526400123\n",
			want: []string{"OKX: trades", "OKX:X 2023-09-01T00:00:00.123Z 26000.10×1.0 sell #77"},
		},
		"LOBSTER": {
			file: "AAPL_2012-06-21_34200000_57600000_message_5.csv",
			text: "34200.004241176,1,16113575,18,5853300,1\n34200.025551909,4,16120456,18,5859100,-1\n34200.201743250,5,0,100,5859200,1\n",
			want: []string{"LOBSTER: trades", "NASDAQ:AAPL 2012-06-21T13:30:00.025551909Z 585.9100×18 buy", "NASDAQ:AAPL 2012-06-21T13:30:00.20174325Z 585.9200×100 sell"},
		},
		"HistData ticks": {
			file: "DAT_ASCII_EURUSD_T_201202.csv", text: "20120201 000000660,1.306600,1.306770,0\n",
			want: []string{"HistData ticks: quotes", "IMPORT:EURUSD_T 2012-02-01T05:00:00.66Z 1.306600×0 1.306770×0"},
		},
		"HistData minutes": {
			file: "DAT_ASCII_EURUSD_M1_2012.csv", text: "20120201 000000;1.3066;1.3067;1.3065;1.3066;0\n20120201 000100;1.3066;1.3067;1.3065;1.3066;0\n",
			want: []string{"HistData minutes: bars", "IMPORT:EURUSD 1m 2012-02-01T05:00:00Z 1.3066 1.3067 1.3065 1.3066 v0", "IMPORT:EURUSD 1m 2012-02-01T05:01:00Z 1.3066 1.3067 1.3065 1.3066 v0"},
		},
		"NinjaTrader": {
			text: "20110301 090100;133.9;134.01;133.9;133.98;3778\n20110301 090300;134;134;134;134;400\n20110301 090600;133.96;133.96;133.96;133.96;127\n",
			want: []string{
				"NinjaTrader: bars", "IMPORT:X 1m 2011-03-01T09:00:00Z 133.9 134.01 133.9 133.98 v3778", "IMPORT:X 1m 2011-03-01T09:02:00Z 134 134 134 134 v400",
				"IMPORT:X 1m 2011-03-01T09:05:00Z 133.96 133.96 133.96 133.96 v127",
			},
		},
		"MetaTrader 4": {
			text: "2012.02.01,00:00,1.3066,1.3067,1.3065,1.3066,12\n2012.02.01,00:15,1.3066,1.3067,1.3065,1.3066,12\n",
			want: []string{"MetaTrader: bars", "IMPORT:X 15m 2012-02-01T00:00:00Z 1.3066 1.3067 1.3065 1.3066 v12", "IMPORT:X 15m 2012-02-01T00:15:00Z 1.3066 1.3067 1.3065 1.3066 v12"},
		},
		"MetaTrader 5": {
			text: "<DATE>\t<TIME>\t<OPEN>\t<HIGH>\t<LOW>\t<CLOSE>\t<TICKVOL>\t<VOL>\t<SPREAD>\n2024.01.02\t00:00:00\t1.1\t1.3\t1.0\t1.2\t60\t5\t20\n2024.01.02\t01:00:00\t1.1\t1.3\t1.0\t1.2\t60\t0\t20\n",
			want: []string{"MetaTrader: bars", "IMPORT:X 1h 2024-01-02T00:00:00Z 1.1 1.3 1.0 1.2 v5", "IMPORT:X 1h 2024-01-02T01:00:00Z 1.1 1.3 1.0 1.2 v0"},
		},
		"MetaTrader 5 ticks": {
			text: "<DATE>\t<TIME>\t<BID>\t<ASK>\t<LAST>\t<VOLUME>\t<FLAGS>\n2024.01.02\t00:00:00.123\t1.1\t1.2\t\t\t6\n2024.01.02\t00:00:00.456\t\t1.3\t\t\t4\n",
			want: []string{"MetaTrader ticks: quotes", "IMPORT:X 2024-01-02T00:00:00.123Z 1.1×0 1.2×0", "IMPORT:X 2024-01-02T00:00:00.456Z 1.1×0 1.3×0"},
		},
		"investing.com": {
			text: "\xef\xbb\xbf\"Date\",\"Price\",\"Open\",\"High\",\"Low\",\"Vol.\",\"Change %\"\n\"05/02/2025\",\"5,686.67\",\"5,645.88\",\"5,700.70\",\"5,642.28\",\"1.25M\",\"1.47%\"\n\"05/01/2025\",\"1,004.14\",\"999.14\",\"1,008.91\",\"997.35\",\"\",\"0.63%\"\n",
			want: []string{"investing.com: bars", "IMPORT:X 1d 2025-05-02T00:00:00Z 5645.88 5700.70 5642.28 5686.67 v1250000", "IMPORT:X 1d 2025-05-01T00:00:00Z 999.14 1008.91 997.35 1004.14 v"},
		},
		"nasdaq.com": {
			text: "Date,Close/Last,Volume,Open,High,Low\n01/05/2024,$181.18,62379660,$181.99,$182.76,$180.17\n01/04/2024,\"$1,181.91\",71983570,$182.15,\"$1,183.08\",$180.88\n",
			want: []string{"nasdaq.com: bars", "IMPORT:X 1d 2024-01-05T00:00:00Z 181.99 182.76 180.17 181.18 v62379660", "IMPORT:X 1d 2024-01-04T00:00:00Z 182.15 1183.08 180.88 1181.91 v71983570"},
		},
		"CryptoDataDownload, seconds and milliseconds": {
			text: "https://www.CryptoDataDownload.com\nUnix,Date,Symbol,Open,High,Low,Close,Volume BTC,Volume USD\n1603526400000,2020-10-24 08-AM,BTC/USD,1,1,1,1,2.5,9\n1603522800.0,2020-10-24 07-AM,BTC/USD,1,1,1,1,2.5,9\n1.60352E+12,2020-10-24 06-AM,BTC/USD,1,1,1,1,2.5,9\n",
			want: []string{
				"CryptoDataDownload: bars", "IMPORT:BTC/USD 1h 2020-10-24T08:00:00Z 1 1 1 1 v2.5", "IMPORT:BTC/USD 1h 2020-10-24T07:00:00Z 1 1 1 1 v2.5",
				"IMPORT:BTC/USD 1h 2020-10-24T06:00:00Z 1 1 1 1 v2.5",
			},
		},
		"Alpha Vantage, adjusted": {
			text: "timestamp,open,high,low,close,adjusted_close,volume,dividend_amount,split_coefficient\n2024-01-05,1,3,1,2,1.9,100,0.0,1.0\n",
			want: []string{"Alpha Vantage: bars", "IMPORT:X 1d 2024-01-05T00:00:00Z 1 3 1 2 v100"},
		},
		"Quandl": {
			text: "Date,Open,High,Low,Close,Volume,Ex-Dividend,Split Ratio,Adj. Open,Adj. High,Adj. Low,Adj. Close,Adj. Volume\n2011-12-30,403.51,406.28,403.49,405.0,6416500.0,0.0,1.0,52.0,52.4,52.0,52.2,44915500.0\n",
			want: []string{"Quandl WIKI: bars", "IMPORT:X 1d 2011-12-30T00:00:00Z 403.51 406.28 403.49 405.0 v6416500.0"},
		},
		"Google": {
			text: "Date,Open,High,Low,Close,Volume\n31-Dec-10,31.22,31.33,30.93,31.30,11716389\n",
			want: []string{"table of bars: bars", "IMPORT:X 1d 2010-12-31T00:00:00Z 31.22 31.33 30.93 31.30 v11716389"},
		},
		"MarketStore": {
			text: "Epoch ,Bid, Ask\n2018-11-21T01:23:44.999999,112.80,112.8\n",
			want: []string{"MarketStore: quotes", "IMPORT:X 2018-11-21T01:23:44.999999Z 112.80×0 112.8×0"},
		},
		"bid and ask without a header": {
			text: "20161230 21:37:57 140000,1.05185,1.05197\n",
			want: []string{"time, bid, ask: quotes", "IMPORT:X 2016-12-30T21:37:57.14Z 1.05185×0 1.05197×0"},
		},
		"price and size without a header": {
			text: "2016-12-30 21:37:57,187.25,100\n",
			want: []string{"time, price, size: trades", "IMPORT:X 2016-12-30T21:37:57Z 187.25×100"},
		},
		"TAQ": {
			text: "symbol,date,time,bid,ofr,bidsiz,ofrsiz,mode,ex,mmid\nA,2022.02.20,6:24:34,1,0,1,0,12,'P',null\n",
			want: []string{"TAQ: quotes", "IMPORT:A 2022-02-20T06:24:34Z 1×1 0×0 P//"},
		},
		"Lean minutes": {
			file: "20131007_spy_minute_trade.csv", text: "34200000,1675000,1676000,1674900,1675500,1200\n34260000,1675000,1676000,1674900,1675500,1300\n",
			want: []string{"Lean: bars", "IMPORT:SPY 1m 2013-10-07T13:30:00Z 167.5000 167.6000 167.4900 167.5500 v1200", "IMPORT:SPY 1m 2013-10-07T13:31:00Z 167.5000 167.6000 167.4900 167.5500 v1300"},
		},
		"Tapedeck trades": {
			text: "symbol,timestamp,price,size,exchange,id,conditions,tape,side,ref,seq,received\nSIM:AAPL,2024-01-02T14:30:00.5Z,187.420,100,V,7,\"@,I\",C,B,,1,2024-01-02T14:30:00.6Z\nCOINBASE:BTC-USD,2024-01-02T14:30:00.5Z,1.0,2,,,,,S,ab,1,2024-01-02T14:30:00.6Z\n",
			want: []string{"Tapedeck: trades", "SIM:AAPL 2024-01-02T14:30:00.5Z 187.420×100 buy #7 V/@,I tape C", "COINBASE:BTC-USD 2024-01-02T14:30:00.5Z 1.0×2 sell #ab"},
		},
		"Tapedeck quotes": {
			text: "symbol,timestamp,bid_price,bid_size,bid_exchange,ask_price,ask_size,ask_exchange,conditions,tape,seq,received\nSIM:AAPL,2024-01-02T14:30:00.5Z,187.420,100,V,187.43,1,Q,R,C,1,2024-01-02T14:30:00.6Z\n",
			want: []string{"Tapedeck: quotes", "SIM:AAPL 2024-01-02T14:30:00.5Z 187.420×100 187.43×1 V/Q/R"},
		},
		"decimal commas": {
			text: "Datum;Kurs;Volumen\n31.12.2024 17:35;1.234,50;1.000\n30.12.2024 17:35;0,5;12\n",
			want: []string{"table of trades: trades", "IMPORT:X 2024-12-31T17:35:00Z 1234.50×1000", "IMPORT:X 2024-12-30T17:35:00Z 0.5×12"},
		},
		"arrays": {
			text: "[1499040000000,\"0.01634790\",\"0.80\",\"0.01575800\",\"0.01577100\",\"148976.11\",1499644799999,\"2434.19\",308,\"1756.87\",\"28.46\",\"0\"]\n[1499040060000,\"1\",\"1\",\"1\",\"1\",\"1\",1499040119999,\"1\",1,\"1\",\"1\",\"0\"]\n",
			want: []string{"Binance klines: bars", "BINANCE:X 1m 2017-07-03T00:00:00Z 0.01634790 0.80 0.01575800 0.01577100 v148976.11 n308", "BINANCE:X 1m 2017-07-03T00:01:00Z 1 1 1 1 v1 n1"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			c.opt.Name = c.file
			if c.opt.Name == "" {
				c.opt.Name = "x.csv"
			}
			r, got := readText(t, c.text, c.opt)
			d := r.Layout()
			got = append([]string{d.Layout + ": " + d.Kind}, got...)
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("%s\nnotes %q", diff, d.Notes)
			}
		})
	}
}
